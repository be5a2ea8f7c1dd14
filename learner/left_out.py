"""What this line of weights never learns from, since it was undone.

A part of the state, so that it holds for records that come later too: a repetition that the stream
sends again, or the end of a range that was undone before all of it had arrived.

Knows nothing of Kafka or of undoing. Read by `intake.py`; what is put into each manifest.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from learner.arrival import Arrival
from learner.part import Snapshot
from riverrun.errors import CheckpointError
from riverrun.records import LeftOut


class StandingLeftOut:
    """Ranges of raw offsets, and a quick look whether a record lies in one."""

    def __init__(self, ranges: Iterable[LeftOut] = ()) -> None:
        self._sorted: dict[tuple[int, str | None], tuple[list[int], list[int]]] = {}
        self.ranges: list[LeftOut] = []
        self.add(ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def add(self, ranges: Iterable[LeftOut]) -> None:
        """From now on these too."""
        self.ranges = merged([*self.ranges, *ranges])
        self._sorted = {}
        for one in self.ranges:
            firsts, lasts = self._sorted.setdefault((one.partition, one.source), ([], []))
            firsts.append(one.first)
            lasts.append(one.last)

    def takes(self, partition: int, raw_offset: int, source: str) -> bool:
        """Whether the record is not to be learned."""
        if not self._sorted:
            return False
        return self._lies_in((partition, None), raw_offset) or self._lies_in(
            (partition, source), raw_offset
        )

    def _lies_in(self, key: tuple[int, str | None], raw_offset: int) -> bool:
        """By bisection: merged ranges do not overlap."""
        firsts, lasts = self._sorted.get(key, ((), ()))
        place = bisect_right(firsts, raw_offset) - 1
        return place >= 0 and raw_offset <= lasts[place]

    def part(self, arrivals: Iterable[Arrival]) -> tuple[list[Arrival], list[Arrival]]:
        """Those that are learned, and those that are left out."""
        kept: list[Arrival] = []
        gone: list[Arrival] = []
        for one in arrivals:
            is_gone = self.takes(one.partition, one.raw_offset, one.document.source)
            (gone if is_gone else kept).append(one)
        return kept, gone

    # The checkpoint's view

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self.ranges))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            found = msgspec.json.decode(snapshots[-1].facts, type=list[LeftOut])
        except msgspec.DecodeError as error:
            raise CheckpointError(f"what is left out: {error}") from error
        self.ranges = []
        self.add(found)


def merged(ranges: Iterable[LeftOut]) -> list[LeftOut]:
    """The same records in as few ranges as there can be, in order."""
    found: list[LeftOut] = []
    for one in sorted(ranges, key=lambda r: (r.partition, r.source or "", r.first)):
        last = found[-1] if found else None
        if (
            last is not None
            and (last.partition, last.source) == (one.partition, one.source)
            and one.first <= last.last + 1
        ):
            found[-1] = msgspec.structs.replace(last, last=max(last.last, one.last))
        else:
            found.append(one)
    return found
