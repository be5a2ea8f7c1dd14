"""`riverrun bench train|memory|retention`: what a step costs, and what it learns and keeps."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.bench.figures import json_option, write_figures
from riverrun.cli.bench.group import bench
from riverrun.cli.options import settings_options
from riverrun.environment import prepare_to_learn

if TYPE_CHECKING:
    from riverrun.settings import Settings


@bench.command()
@click.option(
    "--rounds",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="Of which each figure is the median.",
)
@json_option
def memory(rounds: int, json_file: Path | None) -> None:
    """Adding to the replay memory and sampling from it, beside Avalanche's reservoir."""
    prepare_to_learn()
    from bench.memory import run, table

    figures = run(rounds, lambda doing: click.echo(doing, err=True))
    click.echo(table(figures))
    write_figures(json_file, figures)


@bench.command()
@settings_options()
@click.option("--rounds", type=click.IntRange(1, 10_000), default=40, show_default=True)
@json_option
def train(settings: "Settings", rounds: int, json_file: Path | None) -> None:
    """Tokens a second of the learner's whole step, over those of a bare torch loop.

    Both run here, in turn, on the same blocks; medians over the rounds. --model chooses the model.
    """
    prepare_to_learn()
    from bench.train import run
    from riverrun.supervisor.model_fetch import fetch_model

    fetch_model(settings.model)
    result = run(settings, rounds)
    click.echo(
        f"{result.model}: {result.tokens_per_s:,.0f} tokens/s, bare {result.bare_tokens_per_s:,.0f}"
        f" (ratio {result.ratio:.3f}, of processor time {result.cpu_ratio:.3f}); "
        f"a step of {result.tokens_per_step:,} tokens takes "
        f"{result.step_s * 1e3:.0f} ms, {result.rounds} rounds"
    )
    write_figures(json_file, result)


@bench.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines with `text` and `source`, the languages one after the other.",
)
@click.option("--strategies", default="all", show_default=True, help="Names, by commas.")
@click.option(
    "--bytes",
    "max_bytes",
    type=click.IntRange(1000),
    help="Learned of each language at most; without it all of them (an hour on one core).",
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    "--beside",
    "others",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A --json of other strategies on the same data, to show with this run. Can be repeated.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the curves there (PNG; needs matplotlib).",
)
@json_option
def retention(
    data: Path | None,
    strategies: str,
    max_bytes: int | None,
    threads: int,
    others: tuple[Path, ...],
    plot: Path | None,
    json_file: Path | None,
) -> None:
    """Languages one after the other: what is learned, and what is left of the first ones.

    Bits a byte (lower is better) of `tiny` in one pass, for ours, finetuning, Avalanche's plugins
    and retraining; `bench/retention.py` says what each number is.
    """
    prepare_to_learn()
    from bench.retention import earlier_in, names_in, run

    result = run(
        data,
        names_in(strategies),
        lambda text: click.echo(text, err=True),
        max_bytes=max_bytes,
        threads=threads,
        earlier=[earlier_in(path) for path in others],
    )
    for text in result.lines():
        click.echo(text)
    write_figures(json_file, result)
    if plot is not None:
        from bench.retention_plot import draw

        draw(result, plot)
