"""The newest examples are held, and shown the oftener the newer: half as often each half-life.

The law: of the held examples, one with `a` newer ones is drawn first with a probability that goes
as 2^(-a / half_life); further draws of a batch follow the same law over what is left. What is
older than the capacity is gone, so the half-life should be well below it.

An exponential has an inverse, so a draw needs no table of weights. Source: Aggarwal, On Biased
Reservoir Sampling in the Presence of Stream Evolution, 2006, for the law; he evicts at random
where this forgets the oldest, so his half-life cannot be shorter than 0.69 capacities.
"""

import numpy as np

from learner.memory.policy import Placed, Policy
from learner.memory.table import Slots
from learner.seeds import Random

ROUNDS = 16
"""Draws that repeat a slot are drawn anew so often; then the newest that are left are taken. That
happens only where a batch wants many half-lives' worth of examples."""


class Recency(Policy):
    name = "recency"

    def place(self, num_new: int, source: int, random: Random) -> Placed:
        del source, random
        table = self.table
        kept = np.arange(max(0, num_new - table.capacity), num_new)
        slots = (table.num_seen + kept) % table.capacity
        table.num_seen += num_new
        table.num_held = min(table.num_seen, table.capacity)
        return Placed(kept, slots)

    def draw(self, num_wanted: int, random: Random) -> Slots:
        table = self.table
        if num_wanted >= table.num_held:
            return np.arange(table.num_held, dtype=np.int64)
        ages: Slots = np.zeros(0, np.int64)
        for _ in range(ROUNDS):
            ages = _first_of_each(np.concatenate([ages, self._ages(num_wanted, random)]))
            if len(ages) >= num_wanted:
                break
        else:
            ages = _first_of_each(np.concatenate([ages, np.arange(num_wanted)]))
        slots: Slots = (table.num_seen - 1 - ages[:num_wanted]) % table.capacity
        return slots

    def _ages(self, num: int, random: Random) -> Slots:
        """Of `num` independent draws: how many newer examples there are."""
        half_life, held = self.tuning.half_life, self.table.num_held
        mass = -np.expm1(-np.log(2) * held / half_life)
        ages = -half_life * np.log1p(-mass * random.random(num)) / np.log(2)
        youngest_first: Slots = np.minimum(ages.astype(np.int64), held - 1)
        return youngest_first


def _first_of_each(ages: Slots) -> Slots:
    _, first = np.unique(ages, return_index=True)
    return ages[np.sort(first)]
