"""`riverrun bench facts|anchoring`: facts learned, knowledge kept, and what holding on costs."""

from pathlib import Path

import click

from riverrun.cli.bench.figures import json_option, write_figures
from riverrun.cli.bench.group import bench
from riverrun.environment import prepare_to_learn


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
    help="default, text-always, large-steps, no-study, no-deferral, blend, no-anchors, "
    "no-recall, replay-25, replay-50, next-token, or as learner.strategy. Repeatable.",
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
    help="Parts in which the facts come, each learned to its end; after each, all are asked.",
)
@click.option(
    "--gate/--no-gate",
    "gated",
    default=True,
    show_default=True,
    help="Whether the gate decides what is served, and slows or stops learning.",
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw there facts gained against knowledge kept, or what each burst left of the earlier "
    "ones (PNG; needs matplotlib).",
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
    gated: bool,
    threads: int,
    seed: int,
    plot: Path | None,
    json_file: Path | None,
) -> None:
    """Learn facts from documents: what is known then, and what is still known.

    On the learner's own step, with its journal and gate, without Kafka. `bench/facts.py` says
    what each number is.
    """
    prepare_to_learn()
    from bench.facts import run
    from bench.facts_bursts import table
    from bench.facts_curves import line
    from bench.facts_files import CONTROL, GENERAL, REPORT, control_in, facts_in, general_in
    from riverrun.supervisor.model_fetch import fetch_model

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
        gated=gated,
        save=lambda so_far: write_figures(json_file, so_far),
    )
    click.echo(
        f"{result.model}, {result.num_facts} facts in {result.num_documents} documents: general "
        f"{result.general_before} of {result.num_general} before; "
        f"in the prompt {result.in_context} facts"
    )
    for name, looks in result.strategies.items():
        last = looks[-1]
        click.echo(f"{line(name, last)}, {last.seconds / result.num_facts:.1f} s a fact")
    for name, matrix in result.bursts.items():
        click.echo("\n".join(table(name, matrix)))
    write_figures(json_file, result)
    if plot is not None:
        from bench.facts_bursts_plot import draw_bursts
        from bench.facts_plot import draw

        (draw_bursts if result.bursts else draw)(result, plot)


@bench.command()
@click.option("--model", default="smollm2", show_default=True, help="Name of the model.")
@click.option("--tokens", type=click.IntRange(4, 100_000), default=128, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 10_000), default=15, show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@json_option
def anchoring(model: str, tokens: int, rounds: int, threads: int, json_file: Path | None) -> None:
    """Time of a step that is held to the origin, over that of the bare step on as many tokens."""
    prepare_to_learn()
    from bench.anchoring import run
    from riverrun.supervisor.model_fetch import fetch_model

    fetch_model(model)
    result = run(model, tokens, rounds, threads)
    click.echo(
        f"{result.model}: a step of {result.new_tokens} new tokens held to the origin "
        f"{result.step_s:.3f} s, bare {result.bare_step_s:.3f} s: {result.ratio:.2f} times "
        f"({result.predicted_origin_tokens} tokens of the origin predicted, {result.rounds} rounds)"
    )
    write_figures(json_file, result)
