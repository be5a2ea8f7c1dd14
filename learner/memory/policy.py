"""Which examples the memory keeps, and which it shows: the protocol of its policies.

A policy decides in slots and never sees tokens. All that it has to know again after a restart is in
the table (columns of its own, a row a slot) or in its facts. Both of its decisions cost what the
batch costs; every random number comes from the generator that the caller gives.

Knows nothing of where blocks lie. Called by `replay.py`, in this folder.

C capacity in slots, n examples of a batch.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from learner.memory.table import Column, Slots, Table
from learner.seeds import Random

Losses = npt.NDArray[np.floating[Any]]


class Tuning(NamedTuple):
    """Numbers of the policies. half_life: in examples; power: of losses, 0 for no difference."""

    half_life: int = 2048
    power: float = 0.6


class Placed(NamedTuple):
    """Which of the new examples are held now (indices, ascending), and in which slots, all
    different."""

    kept: Slots
    slots: Slots


class Policy:
    """Keeps a table's slots. See the module."""

    name = ""

    def __init__(self, table: Table, tuning: Tuning) -> None:
        self.table = table
        self.tuning = tuning

    @staticmethod
    def columns() -> Mapping[str, Column]:
        """What it keeps for each slot."""
        return {}

    def place(self, num_new: int, source: int, random: Random) -> Placed:
        """Slots for new examples of one source. Counts them in the table (seen, held)."""
        raise NotImplementedError

    def draw(self, num_wanted: int, random: Random) -> Slots:
        """Different slots to show; all that are held when there are fewer."""
        raise NotImplementedError

    def lost(self, slots: Slots, losses: Losses) -> None:
        """The newest losses of these slots, nats a token."""

    def facts(self) -> dict[str, Any]:
        """What is not in columns, for JSON."""
        return {}

    def restored(self, facts: Mapping[str, Any]) -> None:
        """The table is now another one, and these were the facts beside it."""


def last_of_each(slots: Slots) -> Placed:
    """Examples that were given `slots` in this order: where two got the same, the later stays."""
    _, from_the_end = np.unique(slots[::-1], return_index=True)
    kept = np.sort(len(slots) - 1 - from_the_end)
    return Placed(kept, slots[kept])
