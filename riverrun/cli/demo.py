"""`riverrun demo`: the main job, shown from an empty directory to a table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings

MARK = "demo"
"""A file that says: this directory was made by a demo and may be emptied by the next one."""

PLAIN_WIDTH = 120
"""Columns when nobody can tell how many there are: a log file, a pipe."""


@click.command()
@settings_options()
@click.option(
    "--facts",
    "facts_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Other facts: JSON lines with documents, question, answer.",
)
@click.option(
    "--general",
    "general_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Other general questions: JSON lines with question, answer.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures there.",
)
@click.option(
    "--learn-within",
    "learn_within_s",
    type=click.FloatRange(1, 86_400),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Ask again when the learner is at rest, after that time at the latest.",
)
@click.option("--keep", is_flag=True, help="Keep the data directory when all went well.")
def demo(
    settings: "Settings",
    facts_file: Path | None,
    general_file: Path | None,
    json_file: Path | None,
    learn_within_s: float,
    keep: bool,
) -> None:
    """Watch a model learn new facts from Kafka while it serves.

    Uses a data directory of its own (riverrun-demo unless --data-dir names another) and an
    embedded Kafka. Exit code 1 when fewer than half of the facts were learned or a request failed.
    """
    import json
    import shutil

    from rich.console import Console

    from riverrun.demo.questions import read_facts, read_general
    from riverrun.demo.run import run
    from riverrun.demo.screen import Screen
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import replace_file

    facts, general = read_facts(facts_file), read_general(general_file)
    settings = _in_own_directory(settings)
    _empty(settings.data_dir)
    fetch_model(settings.model)
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    screen = Screen(console)
    screen.say(f"Data directory: {settings.data_dir} (logs are in its logs/)")
    outcome = run(settings, facts, general, screen, learn_within_s=learn_within_s)
    screen.table(outcome)
    if outcome.traced is not None:
        screen.trace(outcome.traced)
    if json_file is not None:
        replace_file(json_file.absolute(), json.dumps(outcome.summary(), indent=1).encode())
    if not outcome.is_good:
        console.print(f"[red]Not good enough.[/] The logs are in {settings.data_dir / 'logs'}")
        raise click.exceptions.Exit(1)
    if not keep:
        shutil.rmtree(settings.data_dir)


def _in_own_directory(settings: "Settings") -> "Settings":
    if settings.data_dir != type(settings).model_fields["data_dir"].default:
        return settings
    return settings.model_copy(update={"data_dir": Path("riverrun-demo")})


def _empty(data_dir: Path) -> None:
    """A fresh directory for this demo; what an earlier demo left there goes, nothing else.

    Raises DataDirInUse, and InvalidValue when the directory holds something that is no demo's.
    """
    import shutil

    from riverrun.errors import InvalidValue
    from riverrun.workspace import Workspace

    if data_dir.exists() and any(data_dir.iterdir()):
        if not (data_dir / MARK).exists():
            raise InvalidValue("data_dir", str(data_dir), "a directory that is new or empty")
        with Workspace(data_dir).hold("up"):
            pass
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / MARK).touch()
