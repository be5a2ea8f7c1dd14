"""A reservoir that shows the oftener what the model found harder the last time.

The law: a draw takes each held example with a probability that goes as (loss + FLOOR) ** power, by
its last loss in nats a token; further draws of a batch follow the same law over what is left. An
example that was not shown yet counts as the largest loss so far, so that it is shown soon. Power 0
is the reservoir.

Source: Schaul et al., Prioritized Experience Replay, 2016 (proportional variant). They correct the
gradient for what is drawn too often; here drawing it more often is what is wanted, so nothing is
corrected.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from learner.memory.policy import Losses, Placed, Tuning
from learner.memory.reservoir import Reservoir
from learner.memory.sum_tree import SumTree
from learner.memory.table import Column, Slots, Table
from learner.seeds import Random

FLOOR = 0.01
"""Nats added to each loss: what is known by heart is still shown now and then."""


class LossAware(Reservoir):
    name = "loss-aware"

    def __init__(self, table: Table, tuning: Tuning) -> None:
        super().__init__(table, tuning)
        self._tree = SumTree(table.capacity)
        self._largest = 1.0

    @staticmethod
    def columns() -> Mapping[str, Column]:
        return {"losses": Column(np.float32)}

    def place(self, num_new: int, source: int, random: Random) -> Placed:
        placed = super().place(num_new, source, random)
        self._know(placed.slots, np.full(len(placed.slots), self._largest, np.float32))
        return placed

    def lost(self, slots: Slots, losses: Losses) -> None:
        """A loss that is not finite says nothing and changes nothing."""
        is_known = np.isfinite(losses)
        if is_known.any():
            known = np.maximum(losses[is_known], 0).astype(np.float32)
            self._largest = max(self._largest, float(known.max()))
            self._know(slots[is_known], known)

    def _know(self, slots: Slots, losses: Losses) -> None:
        self.table.write("losses", slots, losses)
        self._tree.write(slots, self._weights(losses))

    def _weights(self, losses: Losses) -> Losses:
        weights: Losses = (losses.astype(np.float64) + FLOOR) ** self.tuning.power
        return weights

    def draw(self, num_wanted: int, random: Random) -> Slots:
        if num_wanted >= self.table.num_held:
            return np.arange(self.table.num_held, dtype=np.int64)
        return self._tree.draw(num_wanted, random)

    def facts(self) -> dict[str, Any]:
        return {"largest": self._largest}

    def restored(self, facts: Mapping[str, Any]) -> None:
        self._largest = facts["largest"]
        held = np.arange(self.table.num_held, dtype=np.int64)
        self._tree = SumTree(self.table.capacity)
        self._tree.write(held, self._weights(self.table["losses"][held]))
