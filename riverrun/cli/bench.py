"""`riverrun bench NAME`: measure what the documents claim.

Of the package, only this folder looks up to `bench`, and late.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings

json_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures there.",
)


@click.group()
def bench() -> None:
    """Measure what the documents claim, on this machine."""


@bench.command()
@settings_options()
@click.option(
    "--records",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="Records, one after the other.",
)
@json_option
def freshness(settings: "Settings", records: int, json_file: Path | None) -> None:
    """From a record acknowledged by Kafka to the first token that knows it.

    Runs a system of its own in a temporary directory; --model chooses the model (tiny, smollm2).
    """
    import msgspec

    from bench.freshness import run
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import replace_file

    fetch_model(settings.model)
    result = run(
        settings,
        records,
        lambda number, seconds: click.echo(f"record {number}: {seconds:.3f} s", err=True),
    )
    click.echo(
        f"freshness of {result.model}, {result.records} records, nothing waiting: "
        f"p50 {result.p50_s:.3f} s, p95 {result.p95_s:.3f} s, max {result.max_s:.3f} s"
    )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(result))
