"""Retention: languages one after the other, and what is left of the first ones at the end.

Each strategy learns the stream, each text once as it comes, with the learner's own step. When the
stream is silent ours goes on with what is due, as the learner does (`learner.max_passes`), until it
sleeps; the others have no such thing. All numbers are bits a byte of UTF-8, of the averaged weights
(those that are served), and lower is better:

* prequential: of each step's new text before the step learned from it, over all bytes.
* final: at rest, on the held-out text of each language (its last 20 kB), the mean over languages.
* forgetting: for each language but the last, its final number minus the best one that was seen at
  the end of a language before the last; the mean. Below 0: it still grew better.
* flops: 6 N for each token that is run forward and backward, rehearsed ones too, 2 N for each that
  a teacher reads only; N: all parameters. LwF's teacher reads the new text from the second language
  on, A-GEM's reference gradient is of AGEM_SAMPLE blocks a step. Measuring is not counted, nor the
  optimizer, nor EWC's Fisher matrix, once a language (`seconds` has all but the measuring).
* at_end: the last three at the end of the stream, before anything was rehearsed.

`retrain` is what one would do without an online learner: after each tenth of the stream, from
scratch, on all text so far in random order, as often over it as ours has shown each token on
average, at rest too; optimizer, rate, batch and average are ours. Only the last of these trainings
is done, since only it is needed for `final`; the compute of all ten is counted, and
`flops_once` is that of the last alone. It has no prequential number: a step's text is never met by
weights that are as new.

`naive` is AdamW on the new text alone. Avalanche's plugins run in our step, with AdamW, an
experience a language; `avalanche:Replay` is the mathematics of its ReplayPlugin (each batch half
new, half from a reservoir), with our memory in place of its data loader.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import msgspec
import torch

from bench.languages import Language, languages
from bench.retention_run import AGEM_SAMPLE, SEED, Run, steps_of
from learner.machine import fix_arithmetic
from learner.recipe import SCRATCH, Recipe
from riverrun.device import has_bfloat16
from riverrun.errors import InvalidValue
from riverrun.model.zoo import locate

MODEL = "tiny"
NUM_LOOKS = 4
"""At the held-out text in each language; only the last one counts in a score."""
NUM_RETRAININGS = 10
ONLINE = ("ours", "naive", "avalanche:Replay", "avalanche:EWC", "avalanche:LwF", "avalanche:A-GEM")
STRATEGIES = (*ONLINE, "retrain")
PLUGINS = {
    "avalanche:EWC": "avalanche:EWC:ewc_lambda=10",
    "avalanche:LwF": "avalanche:LwF",
    "avalanche:A-GEM": f"avalanche:AGEM:sample_size={AGEM_SAMPLE}",
}


class Moment(msgspec.Struct, kw_only=True):
    """As a score, at the stream's end."""

    final: float
    forgetting: float | None
    flops: float


class Score(msgspec.Struct, kw_only=True):
    """See the module. curve: after so many bytes, those of rehearsal too, bits a byte of each
    language's held-out text."""

    prequential: float | None
    final: float
    forgetting: float | None
    flops: float
    at_end: Moment | None = None
    flops_once: float | None = None
    seconds: float
    steps: int
    recipe: Recipe
    by_language: dict[str, float]
    curve: list[tuple[int, dict[str, float]]]


class Retention(msgspec.Struct, kw_only=True):
    """boundaries: bytes learned at the end of each language."""

    model: str
    parameters: int
    boundaries: list[int]
    strategies: dict[str, Score]

    def lines(self) -> list[str]:
        return [line(name, score) for name, score in self.strategies.items()]


def ours(precision: str) -> Recipe:
    """The recipe that `tiny` has; nothing is held out but what this bench holds out."""
    return msgspec.structs.replace(SCRATCH, precision=precision, held_out_share=0.0)


def recipe_of(name: str, base: Recipe) -> Recipe:
    adamw = msgspec.structs.replace(
        base, optimizer="adamw", lr=3e-3, max_passes=1, experience_by="source"
    )
    if name in ("ours", "retrain"):
        return base
    if name == "naive":
        return msgspec.structs.replace(adamw, strategy="finetune")
    if name == "avalanche:Replay":
        return msgspec.structs.replace(
            adamw, strategy="replay", replay_share=0.5, memory_policy="reservoir"
        )
    strategy = PLUGINS.get(name, name)
    return msgspec.structs.replace(adamw, strategy=strategy, experience_steps=1_000_000)


def online(run: Run, stream: Sequence[Language], tell: Callable[[str], None]) -> Score:
    nats, num_bytes = 0.0, 0
    curve: list[tuple[int, dict[str, float]]] = []
    ends: list[dict[str, float]] = []

    def look() -> dict[str, float]:
        now = {one.name: run.bits_per_byte(one.held_out) for one in stream}
        curve.append((num_bytes, now))
        return now

    for language in stream:
        steps = list(steps_of(language.records, run.recipe.max_step_tokens))
        looks = {round(len(steps) * look / NUM_LOOKS) for look in range(1, NUM_LOOKS + 1)}
        for number, texts in enumerate(steps, 1):
            nats += run.nats(texts)
            num_bytes += sum(len(text.encode()) for text in texts)
            run.learn(texts, language.name)
            if number in looks:
                now = look()
        ends.append(now)
        tell(f"after {language.name} ({run.seconds:.0f} s): {shown(now)}")
    num_learned = num_bytes
    at_end = Moment(final=mean(ends[-1]), forgetting=forgetting(ends, ends[-1]), flops=run.flops)
    while run.num_due:
        num_bytes += run.rehearse()
        tell(f"at rest ({run.seconds:.0f} s): {shown(look())}")
    final = curve[-1][1]
    return Score(
        prequential=nats / math.log(2) / num_learned,
        final=mean(final),
        forgetting=forgetting(ends, final),
        flops=run.flops,
        at_end=at_end,
        seconds=run.seconds,
        steps=run.num_steps,
        recipe=run.recipe,
        by_language=final,
        curve=curve,
    )


def mean(by_language: Mapping[str, float]) -> float:
    return sum(by_language.values()) / len(by_language)


def shown(by_language: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {bits:.3f}" for name, bits in by_language.items())


def forgetting(ends: Sequence[Mapping[str, float]], final: Mapping[str, float]) -> float | None:
    """ends: what each language cost at the end of each one, in their order."""
    earlier = list(final)[: len(ends) - 1]
    lost = [final[name] - min(bits[name] for bits in ends[:-1]) for name in earlier]
    return sum(lost) / len(lost) if lost else None


def retrain(run: Run, stream: Sequence[Language], num_passes: int) -> Score:
    """The last one of NUM_RETRAININGS, on all text."""
    every = [(text, one.name) for one in stream for text in one.records]
    shuffler = random.Random(SEED)
    for _ in range(num_passes):
        shuffler.shuffle(every)
        for texts in steps_of([text for text, _ in every], run.recipe.max_step_tokens):
            run.learn(texts, "all")
    final = {one.name: run.bits_per_byte(one.held_out) for one in stream}
    return Score(
        prequential=None,
        final=mean(final),
        forgetting=None,
        flops=run.flops * sum(range(1, NUM_RETRAININGS + 1)) / NUM_RETRAININGS,
        flops_once=run.flops,
        seconds=run.seconds,
        steps=run.num_steps,
        recipe=run.recipe,
        by_language=final,
        curve=[],
    )


def retrain_recipe(base: Recipe) -> tuple[Recipe, int]:
    """Finetuning in steps as large as ours with what they replay; how many passes: as often as ours
    has shown each text on average, rehearsed ones too."""
    views = 1 / (1 - base.replay_share) if "replay" in base.strategy else 1.0
    size = round(base.max_step_tokens * views)
    recipe = msgspec.structs.replace(base, strategy="finetune", max_step_tokens=size, max_passes=1)
    return recipe, math.ceil(views) + base.max_passes - 1


def names_in(told: str) -> list[str]:
    """`all`, or names by commas. Raises InvalidValue for one that cannot be measured."""
    if told == "all":
        return list(STRATEGIES)
    names = told.split(",")
    for name in names:
        if name not in STRATEGIES:
            allowed = f"`all`, or of {', '.join(STRATEGIES)}, by commas"
            raise InvalidValue("--strategies", name, allowed)
    return names


def earlier_in(path: Path) -> "Retention":
    """What a run has written. Raises InvalidValue for a file of something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Retention)
    except msgspec.DecodeError as error:
        raise InvalidValue("--beside", str(path), "what `bench retention --json` wrote") from error


def run(
    data: Path | None,
    names: Sequence[str],
    tell: Callable[[str], None],
    *,
    max_bytes: int | None = None,
    threads: int = 1,
    base: Recipe | None = None,
    earlier: Sequence[Retention] = (),
) -> Retention:
    """Measure the named strategies, one after the other; the scores of `earlier` runs stay.

    Raises InvalidValue for data that cannot be used, before anything runs.
    """
    stream = languages(data, max_bytes)
    boundaries = list(accumulate(sum(len(t.encode()) for t in one.records) for one in stream))
    for one in earlier:
        if (one.model, one.boundaries) != (MODEL, boundaries):
            allowed = f"a run of {MODEL} on the same data, with languages that end at {boundaries}"
            raise InvalidValue("--beside", f"{one.model}, {one.boundaries}", allowed)
    model_files = locate(MODEL)
    if base is None:
        base = ours("bfloat16" if has_bfloat16(torch.device("cpu")) else "float32")
    fix_arithmetic(threads)
    scores = {name: score for one in earlier for name, score in one.strategies.items()}
    num_parameters = 0
    for name in names:
        recipe, num_passes = recipe_of(name, base), 1
        if name == "retrain":
            recipe, num_passes = retrain_recipe(base)
        learning = Run(model_files, recipe)
        num_parameters = learning.num_parameters
        tell(f"{name}: {recipe.strategy}, {recipe.optimizer}")
        scores[name] = (
            retrain(learning, stream, num_passes)
            if name == "retrain"
            else online(learning, stream, tell)
        )
        tell(line(name, scores[name]))
    return Retention(
        model=MODEL,
        parameters=num_parameters,
        boundaries=boundaries,
        strategies={name: scores[name] for name in STRATEGIES if name in scores},
    )


def line(name: str, score: Score) -> str:
    prequential = "  -  " if score.prequential is None else f"{score.prequential:.3f}"
    forgetting = "  -   " if score.forgetting is None else f"{score.forgetting:+.3f}"
    return (
        f"{name:18} prequential {prequential}  final {score.final:.3f}  forgetting {forgetting}  "
        f"{score.flops / 1e12:7.1f} TFLOP  {score.steps} steps, {score.seconds:.0f} s"
    )
