"""Every source has the same share of the memory, however much of the stream it is.

The law: once the memory is full, sources that have offered more than their share hold equal numbers
of blocks, within one; a source that has offered less keeps all of it. What a source holds is a
uniform sample of all that it ever offered. With more sources than blocks, a uniform sample of the
sources holds one each.

A new source takes its blocks from the largest, one by one. A source as large as any other is a
reservoir of its own. Source: Prabhu et al., GDumb, 2020, for the greedy balance; Vitter's
algorithm R within a source, which theirs lacks.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from learner.memory.policy import Placed, Policy, Tuning, last_of_each
from learner.memory.reservoir import evenly
from learner.memory.table import Column, Slots, Table
from learner.seeds import Random


class Balanced(Policy):
    name = "balanced"

    def __init__(self, table: Table, tuning: Tuning) -> None:
        super().__init__(table, tuning)
        self._seen: list[int] = []
        """By source, as are the slots: what it offered, and where what it holds lies."""
        self._slots: list[list[int]] = []
        self._num_held = np.zeros(0, np.int64)

    @staticmethod
    def columns() -> Mapping[str, Column]:
        """The slot's place among those of its source: draws go by it, so a restart must know it."""
        return {"places": Column(np.int32), "holders": Column(np.int32)}

    def place(self, num_new: int, source: int, random: Random) -> Placed:
        while len(self._slots) <= source:
            self._slots.append([])
            self._seen.append(0)
            self._num_held = np.append(self._num_held, 0)
        chances = random.random((num_new, 2))
        found = [self._one(source, first, second) for first, second in chances.tolist()]
        kept = np.array([i for i, slot in enumerate(found) if slot is not None], np.int64)
        placed = last_of_each(np.array([s for s in found if s is not None], np.int64))
        # Within one batch a source only replaces its own or grows, so what was taken stays taken.
        self.table.num_seen += num_new
        return Placed(kept[placed.kept], placed.slots)

    def _one(self, source: int, first: float, second: float) -> int | None:
        """The slot for one example; None when it is passed by. first, second: in [0, 1)."""
        table, own = self.table, self._slots[source]
        self._seen[source] += 1
        if table.num_held < table.capacity:
            slot = table.num_held
            table.num_held += 1
        else:
            largest = int(self._num_held.argmax())
            most = len(self._slots[largest])
            if own and len(own) >= most - 1:
                place = int(first * self._seen[source])
                return own[place] if place < len(own) else None
            if not own and most == 1:
                return self._instead_of_a_source(source, first, second)
            slot = self._take(largest, int(first * most))
        self._give(source, slot)
        return slot

    def _instead_of_a_source(self, source: int, first: float, second: float) -> int | None:
        """More sources than blocks: a reservoir of sources. One that has lost its place stays
        out."""
        if self._seen[source] > 1 or first * len(self._slots) >= self.table.capacity:
            return None
        slot = int(second * self.table.capacity)
        self._take(int(self.table["holders"][slot]), 0)
        self._give(source, slot)
        return slot

    def _take(self, source: int, place: int) -> int:
        """The slot at `place` of a source, which loses it; its last one moves there."""
        slots = self._slots[source]
        slot, last = slots[place], slots.pop()
        if last != slot:
            slots[place] = last
            self.table.write("places", np.array([last]), place)
        self._num_held[source] -= 1
        return slot

    def _give(self, source: int, slot: int) -> None:
        where = np.array([slot])
        self.table.write("places", where, len(self._slots[source]))
        self.table.write("holders", where, source)
        self._slots[source].append(slot)
        self._num_held[source] += 1

    def draw(self, num_wanted: int, random: Random) -> Slots:
        return evenly(self.table.num_held, num_wanted, random)

    def facts(self) -> dict[str, Any]:
        return {"seen": self._seen}

    def restored(self, facts: Mapping[str, Any]) -> None:
        table = self.table
        self._seen = list(facts["seen"])
        holders = table["holders"][: table.num_held]
        by_place = np.lexsort((table["places"][: table.num_held], holders))
        ends = np.cumsum(np.bincount(holders, minlength=len(self._seen)))
        self._slots = [part.tolist() for part in np.split(by_place, ends[:-1])] if len(ends) else []
        self._num_held = np.array([len(slots) for slots in self._slots], np.int64)
