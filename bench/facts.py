"""Facts: documents arrive one after the other; what is known then, and what is still known.

Each strategy learns the documents with the learner's own step, journal included, from the queue as
the loop takes them; then rehearsal goes on until nothing is due. After each pass (every document
due was shown once more) the weights that would be served are asked:

* facts: questions on the documents. A changed fact counts only without its former answer.
* general: questions on what everybody knows; all of them, before and now, since any change loses
  some and gains others.
* control_ratio: perplexity of plain text over that of the untouched model.
* seconds: of steps, study questions included, asking not. tokens: predicted ones, anchored too.

`in_context` is the upper bound: facts that the untouched model answers with a fact's own documents
in its prompt. Nothing is held out (`held_out_share` 0), since a fact may have one document.

With bursts the facts come in equal parts, each learned to its end before the next one arrives;
a look follows each burst, and the first burst's facts are counted at its end and at the very end.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import torch

from bench.classroom import Classroom
from bench.facts_asking import Examiner, Known
from bench.facts_files import Fact, General, documents_of
from learner.recipe import Recipe, kind_of, resolve
from learner.start import fix_arithmetic
from learner.strategies.registry import strategy_of
from riverrun.device import has_bfloat16
from riverrun.errors import InvalidValue
from riverrun.model.zoo import locate
from riverrun.settings import LearnerSettings
from riverrun.tokenizer import Tokenizer

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    "no-study": {"study_pairs": 0, "framings": ("plain",)},
    "no-blend": {"origin_share": 0.0},
    "no-anchors": {"strategy": "finetune"},
    "next-token": {
        "strategy": "finetune",
        "study_pairs": 0,
        "framings": ("plain",),
        "origin_share": 0.0,
    },
}
"""What is taken from the model's own recipe; `next-token` is plain online training."""


class Look(msgspec.Struct, kw_only=True, rename={"num_pass": "pass"}):
    """What was known after a pass. missing: questions of facts that were not answered."""

    num_pass: int
    steps: int
    seconds: float
    facts: int
    general: int
    control_ratio: float
    tokens: int
    due: int
    burst: int | None = None
    missing: list[str] = []


class FirstBurst(msgspec.Struct, kw_only=True):
    """Of the first burst's facts: how many there are, were known at its end and at the very end."""

    facts: int
    known_then: int
    known_at_end: int


class Facts(msgspec.Struct, kw_only=True):
    """origin_seconds: to fill the origin memory, or to read it from the cache."""

    model: str
    num_facts: int
    num_documents: int
    num_general: int
    in_context: int
    general_before: int
    origin_seconds: float
    strategies: dict[str, list[Look]]
    first_burst: dict[str, FirstBurst] = {}


def recipe_of(name: str, base: Recipe) -> Recipe:
    """A preset of ours, or a strategy by the name that `learner.strategy` takes."""
    changes = PRESETS.get(name, {"strategy": name})
    return msgspec.structs.replace(base, **changes)


def run(
    model: str,
    names: Sequence[str],
    facts: Sequence[Fact],
    general: Sequence[General],
    control: Sequence[str],
    tell: Callable[[str], None],
    *,
    passes: int | None = None,
    every: int = 1,
    bursts: int = 1,
    shares: Sequence[float] = (),
    threads: int = 1,
    seed: int = 0,
) -> Facts:
    """Measure the strategies one after the other.

    every: passes from one look to the next; the last one is always looked at.
    shares: of the origin's weights, looked at beside the recipe's own; curves of their own.

    Raises InvalidValue for an unknown strategy and more bursts than facts, before anything runs.
    """
    if not 1 <= bursts <= len(facts):
        raise InvalidValue("--bursts", bursts, f"1 to the number of facts, {len(facts)}")
    fix_arithmetic(threads)
    base = msgspec.structs.replace(
        resolve(
            LearnerSettings(),
            kind_of(model),
            has_bfloat16=has_bfloat16(torch.device("cpu")),
        ),
        held_out_share=0.0,
        **({} if passes is None else {"max_passes": passes}),
    )
    recipes = {name: recipe_of(name, base) for name in names}
    model_files = locate(model)
    tokenizer = Tokenizer(model_files)
    for recipe in recipes.values():
        # An unknown name is told before an hour of work.
        strategy_of(recipe)
    result = Facts(
        model=model,
        num_facts=len(facts),
        num_documents=len(documents_of(facts)),
        num_general=len(general),
        in_context=0,
        general_before=0,
        origin_seconds=0.0,
        strategies={},
    )
    for name in names:
        with Classroom(model_files, tokenizer, recipes[name], seed) as one:
            examiner = Examiner(
                one.state.model, one.assembly.framing, recipes[name], facts, general, control
            )
            if not result.strategies:
                look_before(result, examiner)
                tell(
                    f"before: general {result.general_before} of {len(general)}; with the "
                    f"documents in the prompt {result.in_context} of {len(facts)} facts"
                )
            began = time.perf_counter()
            one.prepare()
            seconds = round(time.perf_counter() - began, 1)
            result.origin_seconds = max(result.origin_seconds, seconds)
            curves = Curves(name, one, examiner, facts, shares, result.strategies, tell)
            if bursts == 1:
                teach(one, curves, facts, every)
            else:
                result.first_burst[name] = teach_in_bursts(one, curves, facts, bursts)
    return result


def look_before(result: Facts, examiner: Examiner) -> None:
    everything = range(result.num_facts)
    result.in_context = len(examiner.answered_facts(everything, with_documents=True))
    result.general_before = len(examiner.examine({}).general)


def teach(one: Classroom, curves: "Curves", facts: Sequence[Fact], every: int) -> None:
    one.tell(documents_of(facts))
    while one.rehearse():
        if one.num_pass % every == 0:
            curves.look()
    curves.look()


def teach_in_bursts(
    one: Classroom, curves: "Curves", facts: Sequence[Fact], num_bursts: int
) -> FirstBurst:
    bounds = [len(facts) * i // num_bursts for i in range(num_bursts + 1)]
    size = bounds[1]
    known: list[int] = []
    for burst, (first, end) in enumerate(pairwise(bounds), start=1):
        one.tell(documents_of(facts[first:end]))
        while one.rehearse():
            pass
        now = sum(i < size for i in curves.look(burst).facts)
        known.append(now)
    return FirstBurst(facts=size, known_then=known[0], known_at_end=known[-1])


class Curves:
    """Looks at what a class knows; one curve for the recipe, one for each other share."""

    def __init__(
        self,
        name: str,
        one: Classroom,
        examiner: Examiner,
        facts: Sequence[Fact],
        shares: Sequence[float],
        curves: dict[str, list[Look]],
        tell: Callable[[str], None],
    ) -> None:
        self._class, self._examiner, self._facts, self._tell = one, examiner, facts, tell
        # Without a blend the recipe keeps no copy of the origin's weights.
        others = shares if one.recipe.origin_share else ()
        self._shares: dict[str, float | None] = {
            name: None,
            **{f"{name}@{share:g}": share for share in others},
        }
        self._curves = curves
        self._looked_at = -1
        self._last: Known | None = None

    def look(self, burst: int | None = None) -> Known:
        """At the recipe's own share and at the others; what is known at the recipe's own."""
        one = self._class
        step = one.state.progress.step
        if step == self._looked_at and self._last is not None:
            return self._last
        own: Known | None = None
        for name, share in self._shares.items():
            known = self._examiner.examine(one.served(share))
            look = Look(
                num_pass=one.num_pass,
                steps=step,
                seconds=round(one.seconds, 1),
                facts=len(known.facts),
                general=len(known.general),
                control_ratio=known.control_ratio,
                tokens=one.num_tokens,
                due=len(one.state.rehearsal),
                burst=burst,
                missing=[f.question for i, f in enumerate(self._facts) if i not in known.facts],
            )
            self._curves.setdefault(name, []).append(look)
            self._tell(line(name, look))
            own = own or known
        assert own is not None
        self._looked_at, self._last = step, own
        return own


def line(name: str, look: Look) -> str:
    burst = "" if look.burst is None else f"burst {look.burst}, "
    return (
        f"{name:16} {burst}pass {look.num_pass}, {look.steps} steps, {look.seconds:.0f} s: "
        f"facts {look.facts}, general {look.general}, control x{look.control_ratio:.2f}, "
        f"{look.due} due"
    )
