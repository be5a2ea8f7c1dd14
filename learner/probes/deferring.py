"""Scores of a candidate that defers to its origin: as whoever asks the served version sees it.

The untouched model is measured once; a task whose prompt is left to it has its score, and costs
the candidate no more than a look at the prompt.

Knows nothing of groups or time. Called by `examiner.py`.
"""

from collections.abc import Sequence

import msgspec

from learner.probes.scoring import Scorer
from learner.probes.tasks import Task
from riverrun.deferral import defers
from riverrun.model.decoder import Decoder


class Sheet(msgspec.Struct, frozen=True):
    """Of a list of tasks: scores, and nats of each token of their prompts."""

    scores: list[float]
    prompt_nats: list[list[float]]


def sheet_of(scorer: Scorer, model: Decoder, tasks: Sequence[Task]) -> Sheet:
    """Of the weights that the model wears, for everything."""
    return Sheet(scorer.scores(model, tasks), scorer.prompt_nats(model, tasks))


def are_left(
    learned: Sequence[Sequence[float]], untouched: Sequence[Sequence[float]], margin: float
) -> list[bool]:
    """Which prompts the untouched model answers, by the nats of each token under both."""
    return [
        defers((before - now for now, before in zip(own, theirs, strict=True)), margin)
        for own, theirs in zip(learned, untouched, strict=True)
    ]


def scores(
    scorer: Scorer, model: Decoder, tasks: Sequence[Task], untouched: Sheet, margin: float
) -> list[float]:
    """Of the weights that the model wears, and of the untouched ones where those answer.

    margin: as `riverrun/deferral.py`; 0 where nothing is left to the untouched ones.
    """
    if not margin:
        return scorer.scores(model, tasks)
    left = are_left(scorer.prompt_nats(model, tasks), untouched.prompt_nats, margin)
    kept = [task for task, is_left in zip(tasks, left, strict=True) if not is_left]
    own_scores = iter(scorer.scores(model, kept) if kept else ())
    return [
        score if is_left else next(own_scores)
        for score, is_left in zip(untouched.scores, left, strict=True)
    ]
