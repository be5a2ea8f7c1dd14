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

    import msgspec

    from bench.decode import Speed, run
    from riverrun.errors import InvalidValue
    from riverrun.workspace import replace_file

    try:
        sizes = [int(batch) for batch in batches.split(",")]
    except ValueError:
        raise InvalidValue("--batches", batches, "whole numbers, by commas") from None
    if not all(1 <= size <= 1024 for size in sizes):
        raise InvalidValue("--batches", batches, "1 to 1024 each")
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
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode({"decode": result}))


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
    default=0.1,
    show_default=True,
    help="Seconds from one swap to the next at least.",
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
    """Versions swapped under load: time between tokens meanwhile, by that without any swap.

    Every answer is held against the version that it names, by an independent full forward. The
    model is tiny's, with random weights.
    """
    import msgspec

    from bench.swap import run
    from riverrun.workspace import replace_file

    result = run(
        settings, swaps, clients, window, interval, lambda line: click.echo(line, err=True)
    )
    click.echo(
        f"{result.swaps} swaps ({result.swaps_per_s:g} a second) under {result.clients} clients, "
        f"{result.tokens_per_s:g} tokens/s: {result.requests} requests, {result.failed} failed, "
        f"{result.mixed} mixed\n"
        f"between tokens, with swaps / steady: p99 {result.p99_swaps_s * 1e3:.2f} / "
        f"{result.p99_steady_s * 1e3:.2f} ms, ratio {result.p99_ratio:.3f} (median of windows "
        f"{result.median_ratio:.3f}), p50 ratio {result.p50_ratio:.3f}"
    )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode({"swap": result}))


@bench.command()
@settings_options()
@click.option("--address", metavar="HOST:PORT", help="Of a running server, instead of one of tiny.")
@click.option("--clients", default="1,4,8,32", show_default=True, help="Closed loops, by commas.")
@click.option(
    "--shares",
    default="0.25,0.5,0.8,1.2",
    show_default=True,
    help="Open loops, as shares of the closed loops' best, by commas.",
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

    import msgspec

    from bench.load import Figures, run
    from bench.wide_versions import served_alone
    from riverrun.errors import InvalidValue
    from riverrun.workspace import replace_file

    try:
        counts = [int(one) for one in clients.split(",")]
        parts = [float(one) for one in shares.split(",")]
    except ValueError:
        given = f"{clients}; {shares}"
        raise InvalidValue("--clients, --shares", given, "numbers, by commas") from None
    if not all(1 <= one <= 10_000 for one in counts):
        raise InvalidValue("--clients", clients, "1 to 10000 each")
    if not all(0 < one <= 10 for one in parts):
        raise InvalidValue("--shares", shares, "above 0, up to 10 each")
    click.echo(
        "load                  requests/s  tokens/s  first p50 / p99 ms  between p50 / p99 ms  "
        "refused  failed"
    )

    def tell(what: str, one: Figures) -> None:
        click.echo(
            f"{what:<20}  {one.requests_per_s:>10.1f}  {one.tokens_per_s:>8.0f}  "
            f"{one.first_p50_s * 1e3:>8.1f} / {one.first_p99_s * 1e3:>7.1f}  "
            f"{one.between_p50_s * 1e3:>10.2f} / {one.between_p99_s * 1e3:>7.2f}  "
            f"{one.refused:>7}  {one.failed:>6}"
        )

    with contextlib.ExitStack() as stack:
        if address is None:
            _, address = stack.enter_context(served_alone(settings))
        result = run(address, counts, parts, seconds=seconds, max_tokens=max_tokens, tell=tell)
    if result.ghz is not None:
        click.echo(
            f"ghz, 8 unary calls at a time: {result.ghz.requests_per_s:.1f} requests/s, "
            f"p50 {result.ghz.p50_s * 1e3:.1f} ms, p99 {result.ghz.p99_s * 1e3:.1f} ms"
        )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode({"load": result}))


@bench.command()
@settings_options()
@click.option("--rounds", type=click.IntRange(1, 1000), default=9, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.5, 3600), default=12.0, show_default=True, help="A window."
)
@click.option(
    "--records",
    type=click.IntRange(100, 10_000_000),
    default=30_000,
    show_default=True,
    help="For the learner, 600 bytes each: enough for two windows a round.",
)
@json_option
def interference(
    settings: "Settings", rounds: int, seconds: float, records: int, json_file: Path | None
) -> None:
    """Serving at half of its capacity with training on and off, and training with and without it.

    Runs a system of its own in a temporary directory; --model chooses the model (tiny, smollm2).
    """
    import msgspec

    from bench.interference import run
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import replace_file

    fetch_model(settings.model)
    result = run(settings, rounds, seconds, records, lambda line: click.echo(line, err=True))
    click.echo(
        f"{result.model}, {result.requests_per_s:g} requests/s (half of capacity), medians of "
        f"{result.rounds} rounds, {result.failed} failed\n"
        f"between tokens, training on / off: p99 {result.p99_training_s * 1e3:.2f} / "
        f"{result.p99_idle_s * 1e3:.2f} ms, ratio {result.p99_ratio:.3f}, "
        f"p50 ratio {result.p50_ratio:.3f}\n"
        f"training: {result.train_alone_tokens_per_s:,.0f} tokens/s alone, "
        f"{result.train_kept:.1%} of it kept while serving"
    )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode({"interference": result}))


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
    import msgspec

    from bench.memory import run, table
    from riverrun.workspace import replace_file

    figures = run(rounds, lambda doing: click.echo(doing, err=True))
    click.echo(table(figures))
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(figures))


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
    import msgspec

    from bench.clean import run
    from riverrun.cli.clean import numbered_records
    from riverrun.workspace import replace_file

    lines = () if desk_file is None else numbered_records(desk_file, whole=False)
    desk_values = [value for _, value in lines] or None
    result = run(records, rounds, desk_values, lambda line: click.echo(line, err=True))
    click.echo(
        f"prose profile {result.records_per_s:,.0f} records/s, {result.ratio:.2f} of bare faust; "
        f"two workers {result.two_workers:.2f} times one "
        f"({result.two_workers_bound:.2f} where nothing else uses two cores)"
    )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(result))


@bench.command()
@settings_options()
@click.option("--rounds", type=click.IntRange(1, 10_000), default=40, show_default=True)
@json_option
def train(settings: "Settings", rounds: int, json_file: Path | None) -> None:
    """Tokens a second of the learner's whole step, over those of a bare torch loop.

    Both run here, in turn, on the same blocks; medians over the rounds. --model chooses the model.
    """
    import msgspec

    from bench.train import run
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import replace_file

    fetch_model(settings.model)
    result = run(settings, rounds)
    click.echo(
        f"{result.model}: {result.tokens_per_s:,.0f} tokens/s, bare {result.bare_tokens_per_s:,.0f}"
        f" (ratio {result.ratio:.3f}, of processor time {result.cpu_ratio:.3f}); "
        f"a step of {result.tokens_per_step:,} tokens takes "
        f"{result.step_s * 1e3:.0f} ms, {result.rounds} rounds"
    )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(result))


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
    import msgspec

    from bench.retention import earlier_in, names_in, run
    from riverrun.workspace import replace_file

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
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(result))
    if plot is not None:
        from bench.retention_plot import draw

        draw(result, plot)


@bench.command()
@click.option(
    "--facts",
    "facts_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines with `documents`, `question`, `answer`; ours (the report half) without it.",
)
@click.option(
    "--general",
    "general_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines with `question` and `answer` that any model may know.",
)
@click.option(
    "--text",
    "text_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plain control text, one a line.",
)
@click.option("--model", default="smollm2", show_default=True, help="Name of the model.")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    default=("default",),
    show_default=True,
    help="default, no-study, no-blend, no-anchors, next-token, or as learner.strategy. Repeatable.",
)
@click.option("--passes", type=click.IntRange(1, 1000), help="In place of learner.max_passes.")
@click.option(
    "--every",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Passes from one look to the next.",
)
@click.option(
    "--share",
    "shares",
    type=click.FloatRange(0.0, 1.0),
    multiple=True,
    help="Of the origin's weights: looked at too, beside the recipe's. Repeatable.",
)
@click.option(
    "--bursts",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Parts in which the facts come, each learned to its end.",
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw facts gained against knowledge kept there (PNG; needs matplotlib).",
)
@json_option
def facts(
    facts_file: Path | None,
    general_file: Path | None,
    text_file: Path | None,
    model: str,
    strategies: tuple[str, ...],
    passes: int | None,
    every: int,
    shares: tuple[float, ...],
    bursts: int,
    threads: int,
    seed: int,
    plot: Path | None,
    json_file: Path | None,
) -> None:
    """Learn facts from documents: what is known then, and what is still known.

    On the learner's own step, without Kafka. `bench/facts.py` says what each number is.
    """
    import msgspec

    from bench.facts import line, run
    from bench.facts_files import CONTROL, GENERAL, REPORT, control_in, facts_in, general_in
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import replace_file

    told = facts_in(facts_file or REPORT)
    general = general_in(general_file or GENERAL)
    control = control_in(text_file or CONTROL)
    fetch_model(model)
    result = run(
        model,
        list(dict.fromkeys(strategies)),
        told,
        general,
        control,
        lambda text: click.echo(text, err=True),
        passes=passes,
        every=every,
        bursts=bursts,
        shares=shares,
        threads=threads,
        seed=seed,
    )
    click.echo(
        f"{result.model}, {result.num_facts} facts in {result.num_documents} documents: general "
        f"{result.general_before} of {result.num_general} before; "
        f"in the prompt {result.in_context} facts"
    )
    for name, looks in result.strategies.items():
        last = looks[-1]
        click.echo(f"{line(name, last)}, {last.seconds / result.num_facts:.1f} s a fact")
    for name, first in result.first_burst.items():
        click.echo(
            f"{name}: of the first burst's {first.facts} facts {first.known_then} at its end, "
            f"{first.known_at_end} after all bursts"
        )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(result))
    if plot is not None:
        from bench.facts_plot import draw

        draw(result, plot)


@bench.command()
@click.option("--model", default="smollm2", show_default=True, help="Name of the model.")
@click.option("--tokens", type=click.IntRange(4, 100_000), default=128, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 10_000), default=15, show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@json_option
def anchoring(model: str, tokens: int, rounds: int, threads: int, json_file: Path | None) -> None:
    """Time of a step that is held to the origin, over that of the bare step on as many tokens."""
    import msgspec

    from bench.anchoring import run
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import replace_file

    fetch_model(model)
    result = run(model, tokens, rounds, threads)
    click.echo(
        f"{result.model}: a step of {result.new_tokens} new tokens held to the origin "
        f"{result.step_s:.3f} s, bare {result.bare_step_s:.3f} s: {result.ratio:.2f} times "
        f"({result.predicted_origin_tokens} tokens of the origin predicted, {result.rounds} rounds)"
    )
    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(result))
