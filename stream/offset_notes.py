"""A short text for each offset that faust may commit, to be kept beside it in Kafka.

Kafka stores up to 4 KB of text with a committed offset, so that what a worker knows at that offset
changes hands with it, in one write. The worker notes what it knows after each batch; the commit,
which runs on faust's consumer thread, takes the note of the offset that it commits. Knows nothing
of what the notes say.
"""

import threading
from bisect import bisect_right
from collections import defaultdict


class OffsetNotes:
    """Of each partition the notes since its last commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[int, list[tuple[int, str]]] = defaultdict(list)

    def begin(self, partition: int, offset: int, note: str) -> None:
        """The partition was taken over, and is read from `offset` on."""
        with self._lock:
            self._notes[partition] = [(offset, note)]

    def put(self, partition: int, offset: int, note: str) -> None:
        """What is known when everything below `offset` is done.

        After a rebalance offsets come again: faust may still commit what was done before it, and
        what was noted of them then holds now, since it follows from the log.
        """
        with self._lock:
            notes = self._notes[partition]
            if notes and (offset <= notes[-1][0] or note == notes[-1][1]):
                return
            notes.append((offset, note))

    def at(self, partition: int, offset: int) -> str | None:
        """The note of the newest offset up to this one; None when nothing is known of it."""
        with self._lock:
            notes = self._notes.get(partition, [])
            index = bisect_right(notes, offset, key=lambda one: one[0])
            return notes[index - 1][1] if index else None

    def committed(self, partition: int, offset: int) -> str:
        """The note to be stored with a commit; what is older is forgotten."""
        with self._lock:
            notes = self._notes[partition]
            index = bisect_right(notes, offset, key=lambda one: one[0])
            if not index:
                return ""
            del notes[: index - 1]
            return notes[0][1]
