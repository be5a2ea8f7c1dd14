"""Which pieces each step of a pretraining learns, how far it has come, and when it is measured.

All of it follows from the plan, the seed and the position (pieces taken so far), so that a run that
goes on needs to know nothing else. Called by `run.py`.
"""

import math

import numpy as np
import numpy.typing as npt

from learner.arrival import Arrival
from learner.content import content_of, num_bytes_of, told
from learner.framing import Framing
from learner.pretrain.corpus import Corpus
from learner.pretrain.plan import Plan
from learner.seeds import random_for
from learner.state import Progress

LEAST_POINTS, MOST_POINTS = 5, 40
"""Of the curve, the untrained model's and the last one among them."""
EVALUATION_SHARE = 0.06
"""Held-out bytes of all points as a share of the bytes trained on: a forward pass is a third of a
step, so that the curve of all but short runs costs about a fiftieth."""
LEAST_EVALUATION_BYTES, MOST_EVALUATION_BYTES = 4096, 262_144


class Course:
    """Of one corpus. num_points: of the curve; evaluation_bytes: held-out bytes of each."""

    def __init__(self, corpus: Corpus, plan: Plan, framing: Framing, seed: int) -> None:
        self._corpus = corpus
        self._plan = plan
        self._framing = framing
        self._seed = seed
        self._last = None if plan.epochs is None else plan.epochs * len(corpus)
        self._order: tuple[int, npt.NDArray[np.int64]] | None = None
        self.num_points, self.evaluation_bytes = self._evaluation()

    def share(self, progress: Progress) -> float:
        """Of the whole run that is done."""
        shares = [0.0]
        if self._last is not None:
            shares.append(position_of(progress) / self._last)
        if self._plan.tokens is not None:
            shares.append(progress.num_tokens / self._plan.tokens)
        return min(1.0, max(shares))

    def epoch(self, progress: Progress) -> float:
        return position_of(progress) / len(self._corpus)

    def is_point_due(self, progress: Progress, num_points: int) -> bool:
        """Whether the curve, of so many points, should have one more by now."""
        return int(self.share(progress) * (self.num_points - 1)) >= num_points

    def documents(self, progress: Progress, most_tokens: int) -> list[Arrival]:
        """The next pieces, up to a step's size."""
        arrivals: list[Arrival] = []
        num_tokens = 0
        position = position_of(progress)
        while self._last is None or position < self._last:
            arrival = self._corpus.arrival(self.number(position))
            num_tokens += self._framing.num_tokens(content_of(arrival.document))
            if arrivals and num_tokens > most_tokens:
                break
            arrivals.append(arrival)
            position += 1
        return arrivals

    def number(self, position: int) -> int:
        """Which piece is taken at `position`: each once an epoch, in an order of its own."""
        epoch, place = divmod(position, len(self._corpus))
        if self._plan.in_order:
            return place
        if self._order is None or self._order[0] != epoch:
            order = random_for(self._seed, epoch, "order of the pieces")
            self._order = epoch, order.permutation(len(self._corpus))
        return int(self._order[1][place])

    def _evaluation(self) -> tuple[int, int]:
        plan = self._plan
        trained = math.inf if plan.epochs is None else plan.epochs * self._corpus.facts.num_bytes
        if plan.tokens is not None:
            content = content_of(self._corpus.arrival(0).document)
            bytes_a_token = num_bytes_of(told(content)) / self._framing.num_tokens(content)
            trained = min(trained, plan.tokens * bytes_a_token)
        affordable = trained * EVALUATION_SHARE
        num_points = int(affordable / LEAST_EVALUATION_BYTES)
        num_points = min(max(num_points, LEAST_POINTS), MOST_POINTS)
        num_bytes = int(affordable / num_points)
        return num_points, min(max(num_bytes, LEAST_EVALUATION_BYTES), MOST_EVALUATION_BYTES)


def position_of(progress: Progress) -> int:
    """Pieces taken."""
    return progress.num_documents
