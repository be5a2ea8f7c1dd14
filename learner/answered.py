"""What an answer cost when it was asked for, and whether that means that it is known.

Called by `step.py`, which tells rehearsal and notebook.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from learner.lesson import Shown
from learner.study_pair import Pair

UNKNOWN_LOSS = 1e3
"""Of what was not finite, nats a token: JSON knows no infinity."""


class Answered(NamedTuple):
    """Nats of an answer's tokens: of the dearest one, and their mean."""

    dearest: float
    mean: float

    def cost(self, pair: Pair) -> float:
        """What has to be small for it to be known: each token of the one right answer; of one of
        many, its tokens on the whole."""
        cost = self.mean if pair.is_open else self.dearest
        return cost if math.isfinite(cost) else UNKNOWN_LOSS


def answer_costs(one: Shown, answers: Sequence[Answered]) -> dict[int, float]:
    """Of each pair of a document that was asked, by its index; `answers` end with theirs."""
    if not one.asked or one.pairs is None:
        return {}
    last = answers[-len(one.asked) :]
    return {i: answered.cost(one.pairs[i]) for i, answered in zip(one.asked, last, strict=True)}
