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
    """Of a list of tasks: scores, and nats of the prompts."""

    scores: list[float]
    prompt_nats: list[float]


def sheet_of(scorer: Scorer, model: Decoder, tasks: Sequence[Task]) -> Sheet:
    """Of the weights that the model wears, for everything."""
    return Sheet(scorer.scores(model, tasks), scorer.prompt_nats(model, tasks))


def scores(
    scorer: Scorer, model: Decoder, tasks: Sequence[Task], untouched: Sheet, margin: float
) -> list[float]:
    """Of the weights that the model wears, and of the untouched ones where those answer.

    margin: as `riverrun/deferral.py`; 0 where nothing is left to the untouched ones.
    """
    if not margin:
        return scorer.scores(model, tasks)
    learned = scorer.prompt_nats(model, tasks)
    pairs = zip(learned, untouched.prompt_nats, strict=True)
    are_left = [defers(own, theirs, margin) for own, theirs in pairs]
    kept = [task for task, is_left in zip(tasks, are_left, strict=True) if not is_left]
    own_scores = iter(scorer.scores(model, kept)) if kept else iter(())
    return [
        score if is_left else next(own_scores)
        for score, is_left in zip(untouched.scores, are_left, strict=True)
    ]
