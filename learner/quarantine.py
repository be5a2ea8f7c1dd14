"""Sources whose text is not learned for now, and where that text lies until it is released.

Their documents stay in Kafka. Per source and partition this keeps one stretch of clean offsets:
every document of the source in it was diverted, whatever others lie between. So a quarantine of a
month costs as much as one of a minute, and its text is there for as long as the topic `clean` holds
it; what has expired at the release is counted, not learned.

After the release a stretch is read again, a step's worth at a time, and shrinks as it is learned.
A part of the state; knows nothing of Kafka. Read by `step.py`, `loop.py` and the gate.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from learner.arrival import Arrival
from learner.part import Snapshot
from riverrun.errors import CheckpointError


class Diverted(NamedTuple):
    """A step's arrivals: those that it may learn, and those of sources in quarantine."""

    kept: list[Arrival]
    diverted: list[Arrival]


class Stretch(msgspec.Struct, kw_only=True):
    """Clean offsets of one partition, both ends included, of one source's documents.

    after_raw: of these, documents up to this raw offset are no part of it (repetitions).
    is_closed: its source was released since: what is diverted later makes another one.
    """

    partition: int
    first: int
    last: int
    after_raw: int
    num_documents: int = 0
    is_closed: bool = False


class Kept(msgspec.Struct, kw_only=True):
    """One source. is_released: it is trusted again, and its text is being learned."""

    why: str
    since_step: int
    is_released: bool = False
    stretches: list[Stretch] = []

    @property
    def num_documents(self) -> int:
        return sum(stretch.num_documents for stretch in self.stretches)


class Quarantine:
    """See the module."""

    def __init__(self) -> None:
        self._sources: dict[str, Kept] = {}

    def __contains__(self, source: object) -> bool:
        """Whether arriving text of `source` is diverted."""
        kept = self._sources.get(source) if isinstance(source, str) else None
        return kept is not None and not kept.is_released

    def sources(self) -> dict[str, Kept]:
        """All that are in quarantine, or released and not yet learned."""
        return dict(self._sources)

    def add(self, source: str, why: str = "", step: int = 0) -> bool:
        """Divert the text of `source` from now on; False when it is diverted already.

        One whose release is not learned yet keeps what is left of it, and gets more.
        """
        kept = self._sources.get(source)
        if kept is not None and not kept.is_released:
            return False
        stretches = kept.stretches if kept else []
        self._sources[source] = Kept(why=why, since_step=step, stretches=stretches)
        return True

    def release(self, source: str) -> int | None:
        """Trust `source` again; gives how many documents are to be learned, None if not kept."""
        kept = self._sources.get(source)
        if kept is None or kept.is_released:
            return None
        kept.is_released = True
        for stretch in kept.stretches:
            stretch.is_closed = True
        num_documents = kept.num_documents
        if not kept.stretches:
            del self._sources[source]
        return num_documents

    # What a step asks

    def divert(self, arrivals: Sequence[Arrival]) -> Diverted:
        """Changes nothing yet."""
        if not self._sources:
            return Diverted(list(arrivals), [])
        found = Diverted([], [])
        for arrival in arrivals:
            (found.diverted if arrival.document.source in self else found.kept).append(arrival)
        return found

    def keep(self, diverted: Sequence[Arrival]) -> None:
        """These were diverted, in the order of their partitions."""
        for arrival in diverted:
            stretches = self._sources[arrival.document.source].stretches
            here = (s for s in stretches if s.partition == arrival.partition and not s.is_closed)
            stretch = next(here, None)
            if stretch is None:
                stretch = Stretch(
                    partition=arrival.partition,
                    first=arrival.clean_offset,
                    last=arrival.clean_offset,
                    after_raw=arrival.raw_offset - 1,
                )
                stretches.append(stretch)
            stretch.last = arrival.clean_offset
            stretch.num_documents += 1

    # After a release

    @property
    def is_releasing(self) -> bool:
        """Whether something that was kept is to be learned."""
        return any(kept.is_released for kept in self._sources.values())

    def released(self) -> Iterator[tuple[str, Stretch]]:
        """What is to be learned now."""
        for source, kept in self._sources.items():
            if kept.is_released:
                for stretch in kept.stretches:
                    yield source, stretch

    def take(self, source: str, arrivals: Sequence[Arrival]) -> None:
        """These were read from the front of a stretch and are learned now."""
        last = arrivals[-1]
        stretch = self._front(source, last.partition)
        stretch.first = last.clean_offset + 1
        stretch.after_raw = last.raw_offset
        stretch.num_documents = max(0, stretch.num_documents - len(arrivals))
        if stretch.first > stretch.last:
            self.end(source, last.partition)

    def end(self, source: str, partition: int) -> int:
        """A stretch holds nothing more; gives how many documents it was to hold still."""
        kept = self._sources[source]
        stretch = self._front(source, partition)
        kept.stretches.remove(stretch)
        if not kept.stretches and kept.is_released:
            del self._sources[source]
        return stretch.num_documents

    def is_reading(self, source: str, partition: int) -> bool:
        """Whether a stretch of `source` in `partition` is being learned."""
        kept = self._sources.get(source)
        return (
            kept is not None
            and kept.is_released
            and any(stretch.partition == partition for stretch in kept.stretches)
        )

    def _front(self, source: str, partition: int) -> Stretch:
        return next(s for s in self._sources[source].stretches if s.partition == partition)

    # The checkpoint's view

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self._sources))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            self._sources = msgspec.json.decode(snapshots[-1].facts, type=dict[str, Kept])
        except msgspec.DecodeError as error:
            raise CheckpointError(f"the quarantine: {error}") from error
