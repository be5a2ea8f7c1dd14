"""Holds the promise that no raw record is passed over.

A clean record with raw offset k may be written only when every earlier record of its partition was
written or rejected: the learner drops what lies at or below its watermark, so that a record
written late would never be learned. Here each partition has the one offset that may come next.

Knows nothing of faust; the worker asks it about each record, in the order of arrival.
"""

from collections.abc import Callable
from typing import Protocol

from riverrun.errors import BrokerError


class Probe(Protocol):
    """Who knows what the partition really holds (`GapProbe`)."""

    async def first_offset(self, partition: int, offset: int, /) -> int: ...


class RawOrder:
    """The next offset of every partition, since the group's last rebalance."""

    def __init__(self, committed: Callable[[int], int | None], probe: Probe) -> None:
        self._committed = committed
        self._probe = probe
        self._generation: int | None = None
        self._next: dict[int, int] = {}

    def enter(self, generation: int) -> bool:
        """A rebalance makes a new generation, which begins at the committed offsets again.

        Says whether this one is new.
        """
        if generation == self._generation:
            return False
        self._generation = generation
        self._next.clear()
        return True

    async def admit(self, partition: int, offset: int) -> bool:
        """Whether this record is the next one; False when it was done before.

        Raises BrokerError when Kafka holds records before it that never came.
        """
        expected = self._next.get(partition)
        if expected is None:
            # An offset below the committed one means that the topic was made anew.
            expected = min(self._committed(partition) or 0, offset)
        if offset < expected:
            return False
        if offset > expected:
            first = await self._probe.first_offset(partition, expected)
            if first < offset:
                raise BrokerError(
                    f"raw records {first} to {offset - 1} of partition {partition} did not reach "
                    "the worker; it starts again at the last committed offset"
                )
        self._next[partition] = offset + 1
        return True
