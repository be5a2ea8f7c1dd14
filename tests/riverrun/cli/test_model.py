"""`riverrun model`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from riverrun.cli.model import model
from riverrun.errors import ModelError, UnknownModel


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> str:
    return CliRunner().invoke(model, arguments, catch_exceptions=False).stdout


def test_fetch_prints_the_directory_and_nothing_else(cache: Path) -> None:
    assert run("fetch", "tiny") == f"{cache / 'models' / 'tiny'}\n"
    assert run("fetch", "tiny") == f"{cache / 'models' / 'tiny'}\n"


def test_list_says_what_is_here_and_what_is_not(cache: Path) -> None:
    run("fetch", "tiny")
    rows = {row["name"]: row["directory"] for row in json.loads(run("list", "--json"))}
    assert rows == {"tiny": str(cache / "models" / "tiny"), "smollm2": None}
    assert "not fetched yet" in run("list")


def test_show_gives_the_shape(cache: Path) -> None:
    directory = run("fetch", "tiny").strip()
    facts = json.loads(run("show", directory, "--json"))
    assert (facts["vocab_size"], facts["num_parameters"]) == (260, 956_288)
    assert "956,288" in run("show", "tiny")


def test_show_never_fetches(cache: Path) -> None:
    with pytest.raises(ModelError, match="run `riverrun model fetch smollm2`"):
        run("show", "smollm2")
    assert list(cache.iterdir()) == []


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UnknownModel, match="model: 'nope' is not allowed"):
        run("fetch", "nope")
