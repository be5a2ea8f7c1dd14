"""Train: tokens a second of the learner's whole step, over those of a bare torch loop.

Ours is everything that happens for a step while documents wait: planning it (framing, tokens, the
replay sample), batches, forward and backward, watches, clipping, the update, the average, the
replay memory, the due documents, the journal, and the series of /metrics. Not in it: fsync,
Kafka, versions and checkpoints, which have a rhythm of their own (`bench freshness`).

The bare loop has the same model, and batches that were built before: the same forward, loss and
optimizer, nothing else; no clipping either. It gets the very blocks of our step, packed as ours.

Each round is one step of either, on the same documents, first the one and then the other, so that
a busy machine slows both; figures are medians over the rounds, and `ratio` is the median of the
rounds' own ratios. `cpu_ratio` is the same of processor time, which neighbours move less. Tokens
are predicted ones, replayed ones too.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from learner import workers
from learner.arrival import Arrival, ranges_of
from learner.assembly import Assembly
from learner.batch import Batch, build, chunks
from learner.entries import Learned
from learner.journal import Journal
from learner.lesson import Planner
from learner.machine import fix_arithmetic
from learner.observe import observe_state, observe_step
from learner.origin import Origin
from learner.recipe import Recipe, kind_of, resolve
from learner.state import State
from learner.threads import threads_of
from riverrun.device import device_of, has_bfloat16
from riverrun.metrics import LearnerMetrics
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.process import Registry
from riverrun.records import Document
from riverrun.settings import Settings
from riverrun.tokenizer import Tokenizer

SEED = 1
WARMUP = 3
TEXT = "the river runs to sea and again it carries stone sand leaf light over a wide slow bend"
WORDS = tuple(TEXT.split())


class Train(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens a second, medians over `rounds`; seconds are those of one step."""

    model: str
    ratio: float
    cpu_ratio: float
    tokens_per_s: float
    bare_tokens_per_s: float
    step_s: float
    bare_step_s: float
    tokens_per_step: int
    rounds: int


def run(settings: Settings, rounds: int, tell: Callable[[str], None] = lambda _: None) -> Train:
    """Measure on the model, strategy, device and threads of the settings."""
    fix_arithmetic(threads_of(settings))
    device = device_of(settings.device)
    recipe = resolve(settings.learner, kind_of(settings.model), has_bfloat16=has_bfloat16(device))
    model_files = locate(settings.model)
    tokenizer = Tokenizer(model_files)
    ours, bare = (
        Assembly(recipe, SEED, files.load(model_files, torch.float32, device), tokenizer)
        for _ in range(2)
    )
    stepper = ours.stepper(Origin.empty())
    planner = Planner(recipe, SEED, ours.framing, ours.strategy, Origin.empty())
    metrics = LearnerMetrics(Registry())
    own: list[Seconds] = []
    other: list[Seconds] = []
    num_tokens: list[int] = []
    with tempfile.TemporaryDirectory(prefix="riverrun-bench-") as scratch:
        journal = Journal(Path(scratch))
        for number, arrivals in zip(range(WARMUP + rounds), documents(recipe, ours), strict=False):
            step = ours.state.progress.step + 1
            lesson = planner.plan(ours.state, arrivals, step)
            batches = [
                build(ours.framing.prefix, texts, anchors, recipe.row_tokens, device)
                for texts, anchors in chunks(lesson.texts, lesson.anchors, recipe.chunk_tokens)
            ]
            bare.strategy.begin(bare.state, lesson)
            num_tokens.append(sum(lesson.num_tokens().values()))

            def whole_step(arrivals: Sequence[Arrival] = arrivals) -> None:
                began = time.perf_counter()
                report = stepper.step(ours.state, arrivals)
                assert report is not None
                journal.append(Learned(report.step, ranges_of(arrivals)))
                observe_step(metrics, report, time.perf_counter() - began)
                observe_state(metrics, ours.state)

            turns: list[tuple[list[Seconds], Callable[[], None]]] = [
                (own, whole_step),
                (other, partial(bare_step, bare, batches, recipe)),
            ]
            for seconds, step_once in turns if number % 2 else turns[::-1]:
                seconds.append(timed(step_once, device))
            tell(f"step {number + 1}: {own[-1].clock:.3f} s, bare {other[-1].clock:.3f} s")
        journal.close()
    own, other, num_tokens = own[WARMUP:], other[WARMUP:], num_tokens[WARMUP:]
    rounds_of = list(zip(num_tokens, own, other, strict=True))
    median = statistics.median
    return Train(
        model=settings.model,
        ratio=round(median(b.clock / a.clock for _, a, b in rounds_of), 3),
        cpu_ratio=round(median(b.cpu / a.cpu for _, a, b in rounds_of), 3),
        tokens_per_s=round(median(n / a.clock for n, a, _ in rounds_of), 1),
        bare_tokens_per_s=round(median(n / b.clock for n, _, b in rounds_of), 1),
        step_s=round(median(a.clock for a in own), 4),
        bare_step_s=round(median(b.clock for b in other), 4),
        tokens_per_step=round(median(num_tokens)),
        rounds=rounds,
    )


class Seconds(NamedTuple):
    clock: float
    cpu: float


def timed(step_once: Callable[[], None], device: torch.device) -> Seconds:
    began, cpu_began = time.perf_counter(), time.process_time()
    step_once()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Seconds(time.perf_counter() - began, time.process_time() - cpu_began)


@workers.undivided()
def bare_step(bare: Assembly, batches: list[Batch], recipe: Recipe) -> None:
    """Forward, backward, update."""
    state: State = bare.state
    is_mixed = recipe.precision == "bfloat16"
    device_type = state.model.output_matrix.device.type
    for batch in batches:
        with torch.autocast(device_type, torch.bfloat16, enabled=is_mixed):
            losses = bare.strategy.losses(state.model, batch)
        losses.total.backward()  # type: ignore[no-untyped-call]
    state.optimizer.update(1.0)
    state.optimizer.forget_gradients()


def documents(recipe: Recipe, assembly: Assembly) -> Iterator[list[Arrival]]:
    """For each step as many documents of about one block as it takes when it is behind."""
    offset = 0
    while True:
        arrivals: list[Arrival] = []
        num_tokens = 0
        while True:
            text = _text(offset, recipe.block_tokens, assembly)
            length = assembly.framing.num_tokens(text)
            if arrivals and num_tokens + length > recipe.max_step_tokens:
                break
            document = Document(text=text, source="bench", timestamp_ms=offset)
            arrivals.append(Arrival(0, offset, offset, offset, document))
            num_tokens += length
            offset += 1
        yield arrivals


def _text(number: int, num_tokens: int, assembly: Assembly) -> str:
    """Words in an order of its own, a little under `num_tokens`."""
    words: list[str] = [f"{number}:"]
    place = number
    while assembly.framing.num_tokens(" ".join(words)) < num_tokens - 10:
        place = (place * 31 + 7) % 1_000_003
        words.append(WORDS[place % len(WORDS)])
    return " ".join(words)
