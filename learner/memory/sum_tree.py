"""Draws in proportion to weights that change: both in the logarithm of how many there are.

Leaves are weights, each node the sum of its children, so a draw walks down from the root. Sums are
made anew from the children, never adjusted: rounding does not pile up, and the tree is a function
of its leaves alone, so a restart needs only those. A whole batch goes level by level at once.

FANOUT children a node: numpy pays by the call, so few wide levels beat many narrow ones.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from learner.memory.table import Slots
from learner.seeds import Random

FANOUT = 16
Weights = npt.NDArray[np.floating[Any]]


class SumTree:
    """Weights of `size` leaves, all 0 at first."""

    def __init__(self, size: int) -> None:
        width = -(-size // FANOUT) * FANOUT
        self._levels = [np.zeros(width)]
        """From the leaves up to the last one, which is at most FANOUT wide."""
        while width > FANOUT:
            width = -(-(width // FANOUT) // FANOUT) * FANOUT
            self._levels.append(np.zeros(width))

    def write(self, leaves: Slots, weights: Weights) -> None:
        self._levels[0][leaves] = weights
        nodes = leaves
        for below, above in zip(self._levels, self._levels[1:], strict=False):
            nodes = np.unique(nodes // FANOUT)
            above[nodes] = below.reshape(-1, FANOUT)[nodes].sum(1)

    def draw(self, num_wanted: int, random: Random) -> Slots:
        """Different leaves, one after the other in proportion to what is left.

        Independent draws without those that repeat are such a sequence; leaves already drawn are
        put to 0 for the next round, so each round finds some, and get their weights back.
        `num_wanted` is at most the number of leaves above 0.
        """
        rounds: list[Slots] = []
        missing = num_wanted
        weights: list[Weights] = []
        while missing:
            leaves = self._drawn(random.random(missing))
            _, first = np.unique(leaves, return_index=True)
            leaves = leaves[np.sort(first)]
            rounds.append(leaves)
            missing -= len(leaves)
            if missing or len(rounds) > 1:
                weights.append(self._levels[0][leaves])
                self.write(leaves, np.zeros(len(leaves)))
        drawn = np.concatenate(rounds) if rounds else np.zeros(0, np.int64)
        if weights:
            self.write(drawn, np.concatenate(weights))
        return drawn

    def _drawn(self, chances: Weights) -> Slots:
        """Of each chance in [0, 1) the leaf under it."""
        top = np.cumsum(self._levels[-1])
        nodes: Slots = np.searchsorted(top, chances * top[-1], side="right")
        nodes = np.minimum(nodes, np.flatnonzero(self._levels[-1])[-1])
        rest = chances * top[-1] - (top[nodes] - self._levels[-1][nodes])
        for level in self._levels[-2::-1]:
            children = level.reshape(-1, FANOUT)[nodes]
            sums = np.cumsum(children, axis=1)
            # Rounding may leave a rest of the whole sum: the last child that has any weight.
            last = FANOUT - 1 - (children[:, ::-1] > 0).argmax(1)
            child = np.minimum((sums <= rest[:, None]).sum(1), last)
            each = np.arange(len(nodes))
            rest = np.maximum(rest - (sums[each, child] - children[each, child]), 0)
            nodes = nodes * FANOUT + child
        return nodes
