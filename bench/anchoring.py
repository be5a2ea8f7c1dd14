"""Anchoring: time of a step on little new text, held to the origin, over that of the bare step.

Both are whole steps of the learner on one state, in turn, on documents of as many tokens; the bare
one is `finetune`. Figures are medians over the rounds, `ratio` that of the rounds' own ratios, so
that a busy machine slows both.
"""

import statistics
import time
from collections.abc import Sequence

import msgspec
import torch

from learner.arrival import Arrival
from learner.assembly import Assembly
from learner.machine import fix_arithmetic
from learner.origin import Origin
from learner.origin_fill import fill
from learner.recipe import Recipe, kind_of, resolve
from learner.step import Stepper
from learner.strategies.registry import FINETUNE, strategy_of
from riverrun.device import has_bfloat16
from riverrun.model import files
from riverrun.model.zoo import locate
from riverrun.records import Document
from riverrun.settings import LearnerSettings
from riverrun.tokenizer import Tokenizer

SEED = 0
WARMUP = 2
WORD = " river"


class Anchoring(msgspec.Struct, frozen=True, kw_only=True):
    """Medians. predicted_origin_tokens: of a step; the questions before them cost time too."""

    model: str
    ratio: float
    step_s: float
    bare_step_s: float
    new_tokens: int
    predicted_origin_tokens: int
    rounds: int


def run(model: str, new_tokens: int, rounds: int, threads: int = 1) -> Anchoring:
    """A model whose recipe does not anchor gives a ratio of about 1."""
    fix_arithmetic(threads)
    kind = kind_of(model)
    recipe = resolve(LearnerSettings(), kind, has_bfloat16=has_bfloat16(torch.device("cpu")))
    recipe = msgspec.structs.replace(recipe, max_passes=1, held_out_share=0.0)
    model_files = locate(model)
    assembly = Assembly(
        recipe,
        SEED,
        files.load(model_files, torch.float32, torch.device("cpu")),
        Tokenizer(model_files),
    )
    origin = fill(assembly.state.model, assembly.framing, recipe, SEED)
    assert origin is not None, "nothing stops it"
    ours, bare = assembly.stepper(origin), bare_stepper(assembly, recipe)
    own: list[float] = []
    other: list[float] = []
    anchored: list[int] = []
    text = WORD.strip() + WORD * (new_tokens - 2)
    for number in range(WARMUP + rounds):
        for stepper in (ours, bare) if number % 2 else (bare, ours):
            offset = assembly.state.progress.step
            document = Document(text=f"{offset} {text}", source="bench", timestamp_ms=0)
            seconds, num_anchored = timed(
                stepper, assembly, [Arrival(0, offset, offset, 0, document)]
            )
            (own if stepper is ours else other).append(seconds)
            if stepper is ours:
                anchored.append(num_anchored)
    own, other, anchored = own[WARMUP:], other[WARMUP:], anchored[WARMUP:]
    median = statistics.median
    return Anchoring(
        model=model,
        ratio=round(median(a / b for a, b in zip(own, other, strict=True)), 3),
        step_s=round(median(own), 4),
        bare_step_s=round(median(other), 4),
        new_tokens=new_tokens,
        predicted_origin_tokens=round(median(anchored)),
        rounds=rounds,
    )


def bare_stepper(assembly: Assembly, recipe: Recipe) -> Stepper:
    """On the same state, with the loss of the text alone."""
    bare = msgspec.structs.replace(recipe, strategy=FINETUNE)
    strategy = strategy_of(bare, assembly.framing.prefix)
    return Stepper(bare, SEED, assembly.framing, strategy, Origin.empty(), assembly.watches)


def timed(stepper: Stepper, assembly: Assembly, arrivals: Sequence[Arrival]) -> tuple[float, int]:
    """Seconds of the step, and the origin tokens that it predicted."""
    began = time.perf_counter()
    report = stepper.step(assembly.state, arrivals)
    assert report is not None, "nothing stops it"
    return time.perf_counter() - began, report.num_tokens["origin"]
