"""What was let through lately in one raw partition, to know a repetition of it.

The verdict on a record depends on nothing but the records before it in the partition, so that one
that is read again, after a crash or by another worker, gets the same verdict and is never taken for
a repetition of itself:

* an entry keeps the raw offset of its first appearance, and only later offsets can repeat it;
* what is remembered is bounded by bytes since the entry, by raw offsets between the two records and
  by the time between them, as Kafka stamped them; never by what this process happens to have seen;
* entries are documents that went to `clean`, which holds them with their raw offsets: whoever takes
  the partition over builds the same memory from the end of `clean` (`clean_tail.py`).

A repetition makes no entry and does not prolong one. Knows nothing of Kafka. Called by `Verdicts`.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from stream.stages.fingerprint import Fingerprint

ENTRY_BYTES = 360
KEY_BYTES = 110
"""Of an entry with its exact hash, and of each band beside it; 316 and 108 measured at most, by
tracemalloc (docs/experiments.md, "The memory of duplicates")."""

REMEMBERED_SHARE = 0.8
"""Of the bytes, this much is compared with. The rest holds older entries, which count again when a
rebalance sends the worker some thousand records back."""

SPAN_OFFSETS = 250_000
"""A repetition lies at most so many raw records behind. Bounds what a worker has to read of `clean`
when few of its texts are compared: 5 s."""

Kind = Literal["duplicate", "near_duplicate"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A document that was let through. mileage: bytes of all entries up to this one."""

    offset: int
    timestamp_ms: int
    mileage: int
    keys: tuple[int, ...]


class Duplicates:
    """At most `max_bytes`, and pairs at most `window_s` apart."""

    def __init__(self, max_bytes: int, window_s: float) -> None:
        self._max_bytes = max_bytes
        self._remembered_bytes = int(max_bytes * REMEMBERED_SHARE)
        self._window_ms = window_s * 1000
        self._entries: deque[Entry] = deque()
        self._by_key: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_bytes(self) -> int:
        """What the entries take, as counted."""
        if not self._entries:
            return 0
        return self._mileage - self._entries[0].mileage + cost(self._entries[0].keys)

    def find(
        self, offset: int, timestamp_ms: int, fingerprint: Fingerprint
    ) -> tuple[Kind, int] | None:
        """What this record repeats: how, and the raw offset of the first appearance."""
        first = self._remembered(fingerprint.exact, offset, timestamp_ms)
        if first is not None:
            return "duplicate", first
        near = [
            first
            for band in fingerprint.bands
            if (first := self._remembered(band, offset, timestamp_ms)) is not None
        ]
        return ("near_duplicate", min(near)) if near else None

    def add(self, offset: int, timestamp_ms: int, fingerprint: Fingerprint) -> None:
        """Remember a document that was let through; offsets rise."""
        assert not self._entries or offset > self._entries[-1].offset, "documents come in order"
        keys = (fingerprint.exact, *fingerprint.bands)
        entry = Entry(offset, timestamp_ms, self._mileage + cost(keys), keys)
        self._entries.append(entry)
        for key in keys:
            self._by_key[key] = entry
        while self.num_bytes > self._max_bytes:
            gone = self._entries.popleft()
            for key in gone.keys:
                if self._by_key.get(key) is gone:
                    del self._by_key[key]

    def forget_from(self, offset: int) -> None:
        """Forget the documents from `offset` on: they are read again."""
        if not self._entries or self._entries[-1].offset < offset:
            return
        while self._entries and self._entries[-1].offset >= offset:
            self._entries.pop()
        # An entry that was forgotten may stand where an older one stood before.
        self._by_key = {key: entry for entry in self._entries for key in entry.keys}

    @property
    def remembered_bytes(self) -> int:
        """Of the newest documents so many bytes are compared with."""
        return self._remembered_bytes

    @property
    def window_ms(self) -> float:
        return self._window_ms

    @property
    def _mileage(self) -> int:
        return self._entries[-1].mileage if self._entries else 0

    def _remembered(self, key: int, offset: int, timestamp_ms: int) -> int | None:
        entry = self._by_key.get(key)
        if (
            entry is None
            or not offset - SPAN_OFFSETS <= entry.offset < offset
            or self._mileage - entry.mileage > self._remembered_bytes
            or abs(timestamp_ms - entry.timestamp_ms) > self._window_ms
        ):
            return None
        return entry.offset


def cost(keys: tuple[int, ...]) -> int:
    """Bytes of an entry with these keys."""
    return ENTRY_BYTES + (len(keys) - 1) * KEY_BYTES
