"""Facts: documents arrive one after the other; what is known then, and what is still known.

Each strategy learns the documents with the learner's own step, journal included, from the queue as
the loop takes them; then rehearsal goes on until nothing is due. After each pass (every document
due was shown once more) the gate judges a version, and the weights that are served then are asked:

* facts: questions on the documents. A changed fact counts only without its former answer.
* general: questions on what everybody knows; all of them, before and now, since any change loses
  some and gains others.
* control_ratio: perplexity of plain text over that of the untouched model.
* seconds: of steps, study questions and judging included, asking not. tokens: predicted ones,
  anchored too.

`in_context` is the upper bound: facts that the untouched model answers with a fact's own documents
in its prompt. Nothing is held out (`held_out_share` 0), since a fact may have one document.

With bursts the facts come in equal parts, one after the other: `facts_bursts.py`.
"""

import time
from collections.abc import Callable, Sequence

import msgspec
import torch

from bench.classroom import Classroom
from bench.facts_asking import Examiner
from bench.facts_bursts import Bursts, parts_of, teach_in_bursts
from bench.facts_curves import Curves, Look
from bench.facts_files import Fact, General, documents_of
from learner.machine import fix_arithmetic
from learner.recipe import Recipe, kind_of, resolve
from learner.strategies.registry import strategy_of
from riverrun.device import has_bfloat16
from riverrun.model.zoo import locate
from riverrun.settings import LearnerSettings
from riverrun.tokenizer import Tokenizer

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    "text-always": {"framings": ("plain", "study")},
    "large-steps": {"rehearsal_documents": 6, "origin_per_step": 8, "origin_weight": 3.0},
    "no-study": {"study_pairs": 0, "framings": ("plain",)},
    "no-deferral": {"deferral_margin": 0.0},
    "blend": {"deferral_margin": 0.0, "origin_share": 0.2},
    "replay-25": {"replay_share": 0.25},
    "replay-50": {"replay_share": 0.5},
    "no-recall": {"recall_share": 0.0},
    "no-anchors": {"strategy": "finetune"},
    "next-token": {
        "strategy": "finetune",
        "study_pairs": 0,
        "framings": ("plain",),
        "deferral_margin": 0.0,
    },
}
"""What is taken from the model's own recipe; `text-always` shows a document beside its questions in
each pass; `large-steps` gives a third of the updates for the same tokens, and holds them to more of
the origin; `next-token` is plain online training. `replay-25` and `-50` show earlier documents
again as they were told at first; `no-recall` does not ask their study questions again."""


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
    bursts: dict[str, Bursts] = {}


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
    gated: bool = True,
    save: Callable[[Facts], None] = lambda _: None,
) -> Facts:
    """Measure the strategies one after the other.

    every: passes from one look to the next; the last one is always looked at.
    shares: of the origin's weights, looked at beside the recipe's own; curves of their own.
    gated: whether the gate decides what is served, and when learning slows or stops.
    save: called with what there is after each look, since a run may take hours.

    Raises InvalidValue for an unknown strategy and more bursts than facts, before anything runs.
    """
    parts = parts_of(facts, bursts)
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
            one.prepare(kind_of(model) if gated else None)
            seconds = round(time.perf_counter() - began, 1)
            result.origin_seconds = max(result.origin_seconds, seconds)
            curves = Curves(name, one, examiner, facts, shares, result.strategies, tell)
            if bursts == 1:
                teach(one, curves, facts, every, lambda: save(result))
            else:
                teach_in_bursts(one, curves, facts, parts, result.bursts, lambda: save(result))
    return result


def look_before(result: Facts, examiner: Examiner) -> None:
    everything = range(result.num_facts)
    result.in_context = len(examiner.answered_facts(everything, with_documents=True))
    result.general_before = len(examiner.examine({}).general)


def teach(
    one: Classroom, curves: Curves, facts: Sequence[Fact], every: int, save: Callable[[], None]
) -> None:
    one.tell(documents_of(facts))
    while one.rehearse():
        if one.num_pass % every == 0:
            curves.look()
            save()
    curves.look()
    save()
