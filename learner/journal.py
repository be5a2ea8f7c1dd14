"""The journal: which documents made up each step, and which versions were published.

Lines of JSON in `journal/STEP.jsonl`; a new file begins with each checkpoint, named by its step,
and files that no kept checkpoint needs are removed. A step's line is on disk before a version that
contains the step may be seen. So checkpoint and journal together give any published weights again.

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

from learner.arrival import Range
from riverrun.errors import CheckpointError

log = logging.getLogger(__name__)


class Learned(msgspec.Struct, frozen=True, tag="step", tag_field="kind", omit_defaults=True):
    """A step on new text (clean offsets of each partition) or, without ranges, on due documents."""

    step: int
    ranges: list[Range] = []


class Published(msgspec.Struct, frozen=True, tag="published", tag_field="kind"):
    """The weights after `step` are in the store as `version`."""

    step: int
    version: str
    sha256: str


class Announced(msgspec.Struct, frozen=True, tag="announced", tag_field="kind"):
    """Kafka has acknowledged the events of `version`."""

    version: str


Entry = Learned | Published | Announced


class Journal:
    """The files in one directory. The last one is open for more."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        starts = self._starts()
        self._open(starts[-1] if starts else 0)
        cut_torn_line(self._path)
        self._length = self._path.stat().st_size
        self._is_synced = True

    def append(self, entry: Entry) -> None:
        """Raises OSError, with the file as it was, when the disk is full."""
        line = msgspec.json.encode(entry) + b"\n"
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
        """A checkpoint of `step` is there: what follows goes to a file of its own."""
        if step <= self.start:
            return
        self.sync()
        self._file.close()
        self._open(step)
        self._length = self._path.stat().st_size

    def forget_before(self, step: int) -> None:
        """Remove what only checkpoints older than that of `step` would need."""
        for start in self._starts():
            if start < step:
                self._file_of(start).unlink()

    def entries_from(self, step: int) -> Iterator[Entry]:
        """What was written after the checkpoint of `step`, oldest first.

        Raises CheckpointError when a line is damaged or a step is missing.
        """
        expected = step + 1
        starts = self._starts()
        if starts and starts[0] > step:
            raise CheckpointError(
                f"{self._directory} begins after step {starts[0]}, and no checkpoint of that step "
                f"or a later one can be used. Restore one, or name another --data-dir."
            )
        for start in starts:
            if start < step:
                continue
            path = self._file_of(start)
            for entry in self._entries_of(path):
                if isinstance(entry, Learned):
                    if entry.step != expected:
                        raise CheckpointError(
                            f"{path}: step {entry.step} stands where step {expected} must; "
                            f"the journal is not whole"
                        )
                    expected += 1
                yield entry

    def unannounced(self) -> list[str]:
        """Versions that were published and whose events Kafka may not have, oldest first."""
        found: dict[str, None] = {}
        for start in self._starts():
            for entry in self._entries_of(self._file_of(start)):
                if isinstance(entry, Published):
                    found[entry.version] = None
                elif isinstance(entry, Announced):
                    found.pop(entry.version, None)
        return list(found)

    def close(self) -> None:
        self.sync()
        self._file.close()

    def _entries_of(self, path: Path) -> Iterator[Entry]:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                yield msgspec.json.decode(line, type=Entry)
            except msgspec.DecodeError as error:
                raise CheckpointError(f"{path}, line {number}: {error}") from error

    def _open(self, start: int) -> None:
        self.start = start
        self._path = self._file_of(start)
        # Unbuffered: an entry is in the kernel when `append` returns, whatever kills us then.
        self._file = self._path.open("ab", buffering=0)
        _sync_directory(self._directory)

    def _file_of(self, start: int) -> Path:
        return self._directory / f"{start:010d}.jsonl"

    def _starts(self) -> list[int]:
        return sorted(int(path.stem) for path in self._directory.glob("*.jsonl"))


def cut_torn_line(path: Path) -> None:
    """Remove what stands after the last newline, and say so."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        log.warning("%s ends in half a line (%d bytes): cut off", path, len(data) - whole)
        os.truncate(path, whole)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
