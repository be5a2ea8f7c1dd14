"""Scores of a candidate that defers to its origin: as whoever asks the served version sees it.

The untouched model is measured once; a task whose prompt is left to it has its score, and costs
the candidate no more than a look at the prompt.

Knows nothing of groups or time. Called by `examiner.py`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from learner.probes.scoring import NOT_FINITE, Scorer
from learner.probes.tasks import Prose, Task
from riverrun.deferral import defers, defers_text
from riverrun.model.decoder import Decoder


class Sheet(msgspec.Struct, frozen=True):
    """Of a list of tasks: scores, and nats of each token of their prompts."""

    scores: list[float]
    prompt_nats: list[list[float]]


def sheet_of(scorer: Scorer, model: Decoder, tasks: Sequence[Task]) -> Sheet:
    """Of the weights that the model wears, for everything."""
    return Sheet(scorer.scores(model, tasks), scorer.prompt_nats(model, tasks))


def is_left(
    task: Task, learned: Sequence[float], untouched: Sequence[float], margin: float
) -> bool:
    """Whether the untouched model answers, by the nats of each token of the prompt under both."""
    gains = [before - now for now, before in zip(learned, untouched, strict=True)]
    return (defers_text if isinstance(task, Prose) else defers)(gains, margin)


def are_left(
    tasks: Sequence[Task],
    learned: Sequence[Sequence[float]],
    untouched: Sequence[Sequence[float]],
    margin: float,
) -> list[bool]:
    """Of each task; margin 0: of none."""
    return [
        margin > 0 and is_left(task, own, theirs, margin)
        for task, own, theirs in zip(tasks, learned, untouched, strict=True)
    ]


def scores(
    scorer: Scorer, model: Decoder, tasks: Sequence[Task], untouched: Sheet, margin: float
) -> list[float]:
    """Of the weights that the model wears, and of the untouched ones where those answer.

    margin: as `riverrun/deferral.py`; 0 where nothing is left to the untouched ones.
    """
    if not margin:
        return scorer.scores(model, tasks)
    left = are_left(tasks, scorer.prompt_nats(model, tasks), untouched.prompt_nats, margin)
    kept = [task for task, is_left in zip(tasks, left, strict=True) if not is_left]
    own_scores = iter(scorer.scores(model, kept) if kept else ())
    return [
        score if is_left else next(own_scores)
        for score, is_left in zip(untouched.scores, left, strict=True)
    ]


class ProseScores(NamedTuple):
    """Nats a token of each text: of the version as it would be served, and of the learned weights
    alone, which say what leaving texts to the origin hides."""

    served: list[float]
    learned: list[float]


def prose_scores(
    scorer: Scorer, model: Decoder, texts: Sequence[Prose], untouched: Sheet, margin: float
) -> ProseScores:
    """As `scores`, of texts alone."""
    nats = scorer.prompt_nats(model, texts)
    means = (sum(own) / len(own) for own in nats)
    learned = [mean if math.isfinite(mean) else NOT_FINITE for mean in means]
    left = are_left(texts, nats, untouched.prompt_nats, margin)
    served = [
        theirs if is_left else own
        for own, theirs, is_left in zip(learned, untouched.scores, left, strict=True)
    ]
    return ProseScores(served, learned)
