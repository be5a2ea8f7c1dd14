"""`riverrun pretrain FILES…|--topic NAME`: a model from text, or an onward one.

Ctrl-C, or any other end: the same command goes on. Of the package, only this folder looks up to
`stream` and `learner`, and late.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options
from riverrun.environment import prepare_to_learn
from riverrun.errors import InvalidValue

if TYPE_CHECKING:
    from learner.pretrain.plan import Plan
    from learner.pretrain.run import Outcome
    from riverrun.settings import Settings


@click.command()
@click.argument("files", metavar="FILES…", nargs=-1, type=click.Path(path_type=Path))
@settings_options()
@click.option("--topic", metavar="NAME", help="Read what this Kafka topic holds now, raw or clean.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("riverrun-model"),
    show_default=True,
    help="The model's directory, for `--model DIR`; also what a run goes on from.",
)
@click.option("--epochs", type=click.IntRange(1, 10_000), help="Passes over the text (1).")
@click.option("--tokens", type=click.IntRange(1), help="Stop after so many, in the last epoch.")
@click.option("--clean", metavar="PROFILE", help="Clean with this profile of the stream first.")
@click.option("--held-out", type=click.FloatRange(0, 0.5), help="Share never trained on.")
@click.option("--fresh", is_flag=True, help="Take only the model's shape and tokenizer.")
@click.option("--in-order", is_flag=True, help="As it comes, not shuffled.")
def pretrain(
    settings: "Settings",
    files: tuple[Path, ...],
    topic: str | None,
    output: Path,
    epochs: int | None,
    tokens: int | None,
    clean: str | None,
    held_out: float | None,
    fresh: bool,
    in_order: bool,
) -> None:
    """Train --model on FILES: plain text, JSON lines as in the raw topic, either with .gz.

    `--model tiny`, a directory with only a config.json and a tokenizer, or --fresh begin from
    nothing; any other model goes onward. Interrupted, the same command goes on where it was.
    """
    prepare_to_learn()
    from learner.pretrain.plan import Input, Plan, recipe_of, settle_plan
    from learner.pretrain.run import held, outcome_in
    from learner.strategies.registry import strategy_of
    from riverrun.cli.pretrain_input import files_as_inputs
    from riverrun.model.zoo import located

    if bool(files) == (topic is not None):
        raise click.UsageError("give either FILES or --topic NAME")
    # An unknown name fails before anything is read.
    located(settings.model)
    strategy_of(recipe_of(settings.learner, "scratch", has_bfloat16=False))
    inputs = files_as_inputs(files) if topic is None else [Input(name=topic)]
    share = settings.learner.held_out_share if held_out is None else held_out
    plan = Plan(
        inputs=inputs,
        clean=clean,
        epochs=1 if epochs is None and tokens is None else epochs,
        tokens=tokens,
        held_out=0.01 if share is None else share,
        in_order=in_order,
    )
    training = output / "training"
    check_output(output)
    with held(training):
        settle_plan(training, plan)
        outcome = outcome_in(training)
        if outcome is None:
            freeze_once(settings, plan, files, topic, training)
            outcome = trained(settings, plan, output, fresh)
        else:
            click.echo("done already", err=True)
    show(outcome, output)


def check_output(output: Path) -> None:
    """Raises InvalidValue for a directory that is in use for something else."""
    if output.is_dir() and any(output.iterdir()) and not (output / "training").is_dir():
        allowed = "a new or empty directory, or the output of an earlier pretrain"
        raise InvalidValue("--output", str(output), allowed)


def freeze_once(
    settings: "Settings",
    plan: "Plan",
    files: tuple[Path, ...],
    topic: str | None,
    training: Path,
) -> None:
    """Read the input, unless an earlier process has; then a file that is gone does no harm.

    Raises InvalidValue for input that cannot be used, with nothing left behind that would count as
    another run's.
    """
    from learner.pretrain.corpus import freeze
    from learner.pretrain.plan import FILE
    from riverrun.cli.pretrain_input import Reader

    if (training / "corpus").is_dir():
        return
    try:
        reader = Reader(settings, plan.clean, lambda line: click.echo(line, err=True))
        pieces = reader.files(files) if topic is None else reader.topic(topic)
        freeze(training / "corpus", pieces, plan.held_out, reader.rejected)
    except BaseException:
        (training / FILE).unlink(missing_ok=True)
        raise
    for reason, num in sorted(reader.rejected.items()):
        click.echo(f"{num} records are no documents: {reason}", err=True)


def trained(settings: "Settings", plan: "Plan", output: Path, fresh: bool) -> "Outcome":
    """Raises KeyboardInterrupt when it was stopped, with a checkpoint."""
    from learner.pretrain.run import Pretraining
    from riverrun.cli.pretrain_view import View

    run = Pretraining(settings, plan, output, is_fresh=fresh)
    facts = run.corpus.facts
    with View() as view, stopping() as stop:
        view.say(
            f"{facts.num_documents} documents, {facts.num_pieces} pieces to train on, "
            f"{facts.num_held_out} held out"
        )
        if facts.num_held_out == 0:
            view.say("nothing is held out: the curve has only the training's loss (--held-out)")
        if run.began_at:
            view.say(f"goes on from step {run.began_at}")
        outcome = run.run(stop, view.tell)
    if outcome is None:
        click.echo("interrupted; the same command goes on from here", err=True)
        raise KeyboardInterrupt
    return outcome


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def request(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {n: signal.signal(n, request) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(outcome: "Outcome", output: Path) -> None:
    """What came of it, and the picture of the way there."""
    import msgspec

    from learner.pretrain.curve import Point, draw

    lines = (output / "curve.jsonl").read_bytes().splitlines()
    points = [msgspec.json.decode(line, type=Point) for line in lines]
    try:
        draw(output / "curve.png", points, f"{output.name}: {outcome.num_tokens:,} tokens")
    except ImportError:
        click.echo(
            "no curve.png: matplotlib is not installed (`pip install 'riverrun[plot]'`, then the "
            "same command again); the numbers are in curve.jsonl",
            err=True,
        )
    last = outcome.last
    held_out = (
        ""
        if last.held_out_bits_per_byte is None
        else f", held out {last.held_out_loss:.3f} nats a token, "
        f"{last.held_out_bits_per_byte:.3f} bits a byte"
    )
    click.echo(f"{outcome.num_steps} steps, {outcome.num_tokens:,} tokens{held_out}")
    click.echo(f"{output}: riverrun up --model {output}")
    sys.stdout.flush()
