"""`riverrun bench clean`: how fast text is cleaned."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.bench.figures import json_option, write_figures
from riverrun.cli.bench.group import bench

if TYPE_CHECKING:
    pass


@bench.command()
@click.option(
    "--records",
    type=click.IntRange(1000, 1_000_000),
    default=40_000,
    show_default=True,
    help="Records a round.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    help="Interleaved rounds; the figures are medians.",
)
@click.option(
    "--file",
    "desk_file",
    metavar="FILE",
    type=click.File("rb"),
    help="Records (lines, `.gz` too) for the comparison at the desk, instead of our own.",
)
@json_option
def clean(
    records: int, rounds: int, desk_file: click.utils.LazyFile | None, json_file: Path | None
) -> None:
    """The prose profile against a bare faust pass-through, and two workers against one.

    Runs a Kafka of its own in a temporary directory. Beside it the same pipeline at the desk and
    datatrove's filters, when datatrove is installed (`riverrun[bench]`).
    """
    from bench.clean import run
    from riverrun.cli.clean import numbered_records

    lines = () if desk_file is None else numbered_records(desk_file, whole=False)
    desk_values = [value for _, value in lines] or None
    result = run(records, rounds, desk_values, lambda line: click.echo(line, err=True))
    click.echo(
        f"prose profile {result.records_per_s:,.0f} records/s, {result.ratio:.2f} of bare faust; "
        f"two workers {result.two_workers:.2f} times one "
        f"({result.two_workers_bound:.2f} where nothing else uses two cores)"
    )
    write_figures(json_file, result)
