"""Of all examples ever added each is held, and each held one is shown, with the same probability.

Source: Vitter, Random Sampling with a Reservoir, 1985 (algorithm R). Example i of the stream goes
to a slot drawn from i, and is held if that slot exists. Draws of a batch are independent, so they
are taken at once; algorithm L would skip ahead over a long stream, and a batch is short.
"""

import numpy as np

from learner.memory.policy import Placed, Policy, last_of_each
from learner.memory.table import Slots
from learner.seeds import Random


class Reservoir(Policy):
    name = "reservoir"

    def place(self, num_new: int, source: int, random: Random) -> Placed:
        del source
        table = self.table
        numbers = np.arange(table.num_seen, table.num_seen + num_new, dtype=np.int64)
        slots = np.where(numbers < table.capacity, numbers, random.integers(numbers + 1))
        kept = np.flatnonzero(slots < table.capacity)
        placed = last_of_each(slots[kept])
        table.num_seen += num_new
        table.num_held = min(table.num_seen, table.capacity)
        return Placed(kept[placed.kept], placed.slots)

    def draw(self, num_wanted: int, random: Random) -> Slots:
        return evenly(self.table.num_held, num_wanted, random)


def evenly(num_all: int, num_wanted: int, random: Random) -> Slots:
    """Different indices below `num_all`, all equally likely.

    numpy draws few of many by Floyd's algorithm, and shuffles an index only where the few are at
    least a fiftieth or there are at most 10,000: never more than that, however many there are.
    """
    if num_wanted >= num_all:
        return np.arange(num_all, dtype=np.int64)
    return random.choice(num_all, num_wanted, replace=False).astype(np.int64, copy=False)
