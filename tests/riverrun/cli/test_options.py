"""The options that commands share come to the settings that they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from learner.recipe import Kind, resolve
from learner.strategies.registry import TERMS, strategy_of
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings


@click.command()
@settings_options()
def shown(settings: "Settings") -> None:
    learner = settings.learner
    click.echo(f"{settings.model} {learner.strategy} {settings.kafka.bootstrap_servers}")


def said(*words: str) -> str:
    done = CliRunner().invoke(shown, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output.strip()


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_short_options_stand_for_their_settings_and_win_over_set() -> None:
    assert said("--model", "tiny") == "tiny None None"
    assert said("--model", "tiny", "--strategy", "avalanche:EWC") == "tiny avalanche:EWC None"
    assert said("--strategy", "replay+dark", "--set", "learner.strategy=finetune").split()[1] == (
        "replay+dark"
    )
    assert said("--bootstrap-servers", "a:1").endswith("a:1")


@pytest.mark.parametrize("kind", ["scratch", "pretrained"])
@pytest.mark.parametrize("name", ["finetune", *TERMS, "avalanche:EWC", "avalanche:A-GEM"])
def test_every_strategy_that_the_help_names_is_one(name: str, kind: Kind) -> None:
    from riverrun.settings import LearnerSettings

    recipe = resolve(LearnerSettings(strategy=name), kind)
    assert recipe.strategy == name
    if name != "distill" or recipe.ema_decay:
        strategy_of(recipe)
    words = " ".join(CliRunner().invoke(shown, ["--help"]).output.split())
    assert name.replace("A-GEM", "EWC") in words
