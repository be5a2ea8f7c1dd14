"""`riverrun bench decode|swap|load|interference|freshness`: how answers come, and how soon."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.bench.figures import echo_table, json_option, numbers, write_figures
from riverrun.cli.bench.group import bench
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from bench.interference import Interference
    from bench.swap import Swap
    from riverrun.settings import Settings


@bench.command()
@click.option("--models", default="tiny,smollm2", show_default=True, help="Names, by commas.")
@click.option("--batches", default="1,4,16", show_default=True, help="Rows, by commas.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16", "int8"]),
    default="auto",
    show_default=True,
    help="Form of our weights.",
)
@json_option
def decode(
    models: str, batches: str, rounds: int, threads: int, precision: str, json_file: Path | None
) -> None:
    """Tokens a second against transformers' generate in fp32, and against our products alone.

    Both run here, in turn, on the same threads and the same prompts; medians over the rounds.
    """
    from typing import Any, cast

    from bench.decode import Speed, run

    sizes = numbers("--batches", batches, int, lambda one: 1 <= one <= 1024, "1 to 1024 each")
    click.echo(
        "model (form)          batch  tokens/s  x transformers  of limit  first token  x theirs"
    )

    def tell(model: str, form: str, batch: int, speed: Speed) -> None:
        click.echo(
            f"{f'{model} ({form})':<20}  {batch:>5}  {speed.tokens_per_s:>8.0f}  "
            f"{speed.vs_transformers:>14.2f}  {speed.vs_limit:>8.2f}  "
            f"{speed.first_token_s * 1e3:>8.1f} ms  {speed.first_token_vs_transformers:>8.2f}"
        )

    result = run(
        models.split(","),
        sizes,
        rounds=rounds,
        threads=threads,
        precision=cast(Any, precision),
        tell=tell,
    )
    click.echo(
        "x transformers: their fp32 time by ours; of limit: the time of our matrix products alone "
        "by ours"
    )
    write_figures(json_file, result)


@bench.command()
@settings_options()
@click.option("--swaps", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--clients", type=click.IntRange(1, 1000), default=4, show_default=True)
@click.option(
    "--window",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Swaps in a row, before as long a time without any.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0, 60),
    default=0.25,
    show_default=True,
    help="Seconds from one swap to the next at least: what a full step of tiny takes.",
)
@json_option
def swap(
    settings: "Settings",
    swaps: int,
    clients: int,
    window: int,
    interval: float,
    json_file: Path | None,
) -> None:
    """Versions swapped under load: time between messages meanwhile, by that without any swap.

    Every answer is held against the version that it names, by an independent full forward. The
    model is tiny's, with random weights.
    """
    from bench.swap import run

    result = run(
        settings, swaps, clients, window, interval, lambda line: click.echo(line, err=True)
    )
    click.echo(
        f"{result.swaps} swaps ({result.swaps_per_s:g} a second) under {result.clients} clients, "
        f"{result.tokens_per_s:g} tokens/s: {result.requests} requests, {result.failed} failed, "
        f"{result.mixed} mixed, {result.ties} decided by rounding"
    )
    _echo_compared(
        result,
        {"with swaps": result.p99_swaps_s, "steady": result.p99_steady_s},
        {
            "median of the windows' p99": result.median_ratio,
            "p50 between messages": result.p50_ratio,
            "p99 of whole answers": result.total_p99_ratio,
        },
        "steady: the same server and load while no version comes",
    )
    write_figures(json_file, result)


def _echo_compared(
    result: "Interference | Swap",
    p99_s: dict[str, float],
    ratios: dict[str, float],
    compared_with: str,
) -> None:
    """Seconds between messages under two conditions, the ratio of these, and further ratios."""
    times = [f"{seconds * 1e3:.2f} ms" for seconds in p99_s.values()]
    echo_table(
        ["", *p99_s, "ratio"],
        [
            ["p99 between messages", *times, f"{result.p99_ratio:.3f}"],
            *([name, "", "", f"{ratio:.3f}"] for name, ratio in ratios.items()),
        ],
    )
    click.echo(
        f"{compared_with}; messages are {result.chunk_interval_s:g} s apart at least "
        "(serving.chunk_interval_s)"
    )


@bench.command()
@settings_options()
@click.option("--address", metavar="HOST:PORT", help="Of a running server, instead of one of tiny.")
@click.option("--clients", default="1,4,8,32", show_default=True, help="Closed loops, by commas.")
@click.option(
    "--shares",
    default="0.25,0.5,0.8,1.2,2",
    show_default=True,
    help="Open loops, as shares of the closed loops' best, by commas; beyond 1 to be refused.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.5, 3600), default=10.0, show_default=True, help="Each."
)
@click.option("--max-tokens", type=click.IntRange(1, 100_000), default=48, show_default=True)
@json_option
def load(
    settings: "Settings",
    address: str | None,
    clients: str,
    shares: str,
    seconds: float,
    max_tokens: int,
    json_file: Path | None,
) -> None:
    """Throughput and latency percentiles of streamed answers, in closed and open loops.

    ghz drives the unary call beside our own client, where it is installed.
    """
    import contextlib

    from bench.load import Figures, run
    from bench.wide_versions import served_alone

    counts = numbers("--clients", clients, int, lambda one: 1 <= one <= 10_000, "1 to 10000 each")
    parts = numbers("--shares", shares, float, lambda one: 0 < one <= 10, "above 0, up to 10 each")
    click.echo(
        "load                  requests/s  tokens/s  first p50 / p99 ms  between p50 / p99 ms  "
        "refused  p50 / p99 ms  failed"
    )

    def shown_ms(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds * 1e3:.1f}"

    def tell(what: str, one: Figures) -> None:
        refusals = f"{shown_ms(one.refused_p50_s)} / {shown_ms(one.refused_p99_s)}"
        click.echo(
            f"{what:<20}  {one.requests_per_s:>10.1f}  {one.tokens_per_s:>8.0f}  "
            f"{one.first_p50_s * 1e3:>8.1f} / {one.first_p99_s * 1e3:>7.1f}  "
            f"{one.between_p50_s * 1e3:>10.2f} / {one.between_p99_s * 1e3:>7.2f}  "
            f"{one.refused:>7}  {refusals:>12}  {one.failed:>6}"
        )

    with contextlib.ExitStack() as stack:
        if address is None:
            _, address = stack.enter_context(served_alone(settings))
        result = run(address, counts, parts, seconds=seconds, max_tokens=max_tokens, tell=tell)
    click.echo(
        "closed and open loops of the same clients on the same server; nothing else beside it"
    )
    if result.ghz is not None:
        click.echo(
            f"ghz, 8 unary calls at a time: {result.ghz.requests_per_s:.1f} requests/s, "
            f"p50 {result.ghz.p50_s * 1e3:.1f} ms, p99 {result.ghz.p99_s * 1e3:.1f} ms"
        )
    write_figures(json_file, result)


@bench.command()
@settings_options()
@click.option("--rounds", type=click.IntRange(1, 1000), help="Usual: 9 of tiny, 4 of larger ones.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 3600),
    help="A window. Usual: 12 of tiny, 40 of larger ones, whose steps take seconds.",
)
@click.option(
    "--records",
    type=click.IntRange(100, 10_000_000),
    help="For the learner, 600 bytes each, enough for two windows a round. Usual: 30000 of tiny, "
    "4000 of larger ones.",
)
@json_option
def interference(
    settings: "Settings",
    rounds: int | None,
    seconds: float | None,
    records: int | None,
    json_file: Path | None,
) -> None:
    """Serving at half of its capacity with training on and off, and training with and without it.

    Runs a system of its own in a temporary directory; --model chooses the model (tiny, smollm2).
    """
    from bench.interference import Windows, run, usual_windows
    from riverrun.supervisor.model_fetch import fetch_model

    usual = usual_windows(settings.model)
    windows = Windows(rounds or usual.rounds, seconds or usual.seconds, records or usual.records)
    fetch_model(settings.model)
    result = run(settings, windows, lambda line: click.echo(line, err=True))
    click.echo(
        f"{result.model}, {result.requests_per_s:g} requests/s (half of capacity), medians of "
        f"{result.rounds} rounds of {result.window_s:g} s, {result.failed} failed"
    )
    _echo_compared(
        result,
        {"training on": result.p99_training_s, "off": result.p99_idle_s},
        {
            "p50 between messages": result.p50_ratio,
            "p99 until the first": result.first_p99_ratio,
            "p50 of whole answers": result.total_p50_ratio,
            "p99 of whole answers": result.total_p99_ratio,
        },
        "off: the same server and load with the learner stopped",
    )
    echo_table(
        ["", "serving", "alone", "kept"],
        [
            [
                "tokens learned a second",
                f"{result.train_alone_tokens_per_s * result.train_kept:,.0f}",
                f"{result.train_alone_tokens_per_s:,.0f}",
                f"{result.train_kept:.3f}",
            ]
        ],
    )
    write_figures(json_file, result)


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
    from bench.freshness import run
    from riverrun.supervisor.model_fetch import fetch_model

    fetch_model(settings.model)
    result = run(
        settings,
        records,
        lambda number, seconds: click.echo(
            f"record {number}: "
            + ("its version is held" if seconds is None else f"{seconds:.3f} s"),
            err=True,
        ),
    )
    echo_table(
        ["freshness", "records", "held", "p50", "p95", "max"],
        [
            [
                result.model,
                str(result.records),
                str(result.held),
                f"{result.p50_s:.3f} s",
                f"{result.p95_s:.3f} s",
                f"{result.max_s:.3f} s",
            ]
        ],
    )
    click.echo(
        "acknowledged by Kafka to the first token that knows it, nothing waiting; compared with "
        "nothing else"
    )
    write_figures(json_file, result)
