"""The journal: which documents made up each step, and which versions were published.

Lines of JSON in `journal/STEP.jsonl`. A new file begins with each checkpoint, before it is written,
named by its step; files that no kept checkpoint needs are removed. A step's line is on disk before
a version that contains the step may be seen. So checkpoint and journal together give any published
weights again.

A kill may leave half a last line. That line was never synced, so no version knew of it: it is cut
off and named in the log. Damage anywhere else is an error.

Knows nothing of tensors or Kafka. Written by `loop.py` and `publish.py`, read by `resume.py`.
"""

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from learner.entries import Announced, Decided, Entry, Learned, Published, Started
from learner.guard import Guard, unguarded
from learner.journal_file import entries_from, entries_in, file_of, starts_in
from riverrun.workspace import fsync

__all__ = ["Announced", "Decided", "Entry", "Journal", "Learned", "Published", "Started"]

log = logging.getLogger(__name__)


class Journal:
    """The files in one directory. The last one is open for more.

    guard: entered around each change (`lease.py`).
    """

    def __init__(self, directory: Path, guard: Guard = unguarded) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._guard = guard
        starts = starts_in(directory)
        with guard():
            self._open(starts[-1] if starts else 0)
            cut_torn_line(self._path)
        fsync(directory)
        self._length = self._path.stat().st_size
        self._is_synced = True

    def append(self, entry: Entry) -> None:
        """Raises OSError, with the file as it was, when the disk is full; LeaseLost."""
        line = msgspec.json.encode(entry) + b"\n"
        with self._guard():
            try:
                if self._file.write(line) < len(line):
                    # A disk that fills takes a part first, and complains at the next write.
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            except OSError:
                self._file.truncate(self._length)
                raise
        self._length += len(line)
        self._is_synced = False

    def sync(self) -> None:
        """Until this returns, no version that rests on the entries may be seen."""
        if not self._is_synced:
            os.fsync(self._file.fileno())
            self._is_synced = True

    def begin_file(self, step: int) -> None:
        """A checkpoint of `step` is to be: what follows goes to a file of its own.

        That there is no such checkpoint in the end does no harm.
        """
        if step <= self.start:
            return
        self.sync()
        before = self._file
        with self._guard():
            self._open(step)
        fsync(self._directory)
        before.close()
        self._length = self._path.stat().st_size

    def forget_before(self, step: int) -> None:
        """Remove what only checkpoints older than that of `step` would need."""
        for start in starts_in(self._directory):
            if start < min(step, self.start):
                with self._guard():
                    file_of(self._directory, start).unlink()

    def entries_from(self, step: int) -> Iterator[Entry]:
        """See `journal_file.py`."""
        return entries_from(self._directory, step)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever learned or published."""
        return not any(
            isinstance(entry, Learned | Published)
            for start in starts_in(self._directory)
            for entry in entries_in(file_of(self._directory, start))
        )

    def unannounced(self) -> list[str]:
        """Versions that were published and whose events Kafka may not have, oldest first."""
        found: dict[str, None] = {}
        for start in starts_in(self._directory):
            for entry in entries_in(file_of(self._directory, start)):
                if isinstance(entry, Published):
                    found[entry.version] = None
                elif isinstance(entry, Announced):
                    found.pop(entry.version, None)
        return list(found)

    def close(self) -> None:
        self.sync()
        self._file.close()

    def _open(self, start: int) -> None:
        path = file_of(self._directory, start)
        # Unbuffered: an entry is in the kernel when `append` returns, whatever kills us then.
        self._file = path.open("ab", buffering=0)
        self.start, self._path = start, path


def cut_torn_line(path: Path) -> None:
    """Remove what stands after the last newline, and say so."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        log.warning("%s ends in half a line (%d bytes): cut off", path, len(data) - whole)
        os.truncate(path, whole)
