"""The memory's table: columns of one row a slot, allocated once, and which rows have changed.

Small columns lie on the host, where policies read them; wide ones (tokens, what strategies store)
lie where the memory is placed. A snapshot gives the rows that changed since the one before, so
a checkpoint costs what was added, not what is held.

Knows nothing of what a row means. Called by `replay.py` and the policies, in this folder.

C capacity in slots, D changed slots.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.int64]
Values = npt.NDArray[Any]


class Column(NamedTuple):
    """One number a slot."""

    dtype: Any
    initial: float = 0


class Table:
    """`capacity` slots, filled from 0 upwards: those below `num_held` hold something.

    num_seen: examples ever offered.
    """

    def __init__(self, capacity: int, columns: Mapping[str, Column]) -> None:
        self.capacity = capacity
        self.num_held = 0
        self.num_seen = 0
        self._initial = {name: column.initial for name, column in columns.items()}
        self.columns: dict[str, Values] = {
            name: np.full(capacity, column.initial, column.dtype)
            if column.initial
            else np.zeros(capacity, column.dtype)
            for name, column in columns.items()
        }
        self._has_changed_C = np.zeros(capacity, np.bool_)

    def __getitem__(self, name: str) -> Values:
        """A column, to be read; `write` changes it."""
        return self.columns[name]

    def write(self, name: str, slots: Slots, values: Values | float) -> None:
        self.columns[name][slots] = values
        self._has_changed_C[slots] = True

    def mark(self, slots: Slots) -> None:
        """These rows changed elsewhere."""
        self._has_changed_C[slots] = True

    def changed(self) -> Slots:
        """Slots that changed since `settle`, ascending. A byte a slot is read: 40 us a million."""
        return np.flatnonzero(self._has_changed_C[: self.num_held])

    def settle(self) -> None:
        """What is here now is known."""
        self._has_changed_C[: self.num_held] = False

    def clear(self) -> None:
        """Be as new."""
        for name, column in self.columns.items():
            column[: self.num_held] = self._initial[name]
        self.settle()
        self.num_held = self.num_seen = 0
