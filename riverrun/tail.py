"""Follows files as they grow, line by line, and knows on the next start how far it came.

    positions = Positions(path)
    followers = [Follower(path, positions) for path in paths]
    for line in followers[0].lines(): ...      # what is there now
    positions.save()                           # once the lines are acknowledged

* A last line without its end waits until the end is written.
* Rotation (the name goes to a new file): the old file is read to its end, and a little longer, as
  its writer may not have noticed; then the new one from its beginning. Also when it happened while
  nobody followed, if the old file is still in its directory.
* Truncation, or another file of the same number: from the beginning again.

Positions are saved after Kafka has acknowledged, so a crash sends some lines a second time and
leaves none out. Knows nothing of Kafka. Called by `riverrun tail`.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from riverrun.errors import RiverrunError
from riverrun.workspace import replace_file

READ_BYTES = 262_144
HEAD_BYTES = 512
"""A file is known again by its number and its first bytes, since numbers are used again."""

QUIET_S = 2.0
"""A rotated file that has not grown for so long has no writer any more."""


@dataclass(slots=True)
class Position:
    """offset: where the next line begins. head: SHA-256 of the first `num_head` bytes."""

    device: int
    inode: int
    offset: int
    num_head: int = 0
    head: str = ""


class Positions:
    """How far every followed file was sent, in one JSON file."""

    def __init__(self, path: Path) -> None:
        """Raises RiverrunError when the file is no such JSON: nothing may be sent twice for it."""
        self._path = path
        self._saved: dict[str, Position] = {}
        self.reached: dict[str, Position] = {}
        if path.exists():
            try:
                for name, fields in json.loads(path.read_text()).items():
                    self.reached[name] = Position(**fields)
            except (ValueError, TypeError, AttributeError) as error:
                raise RiverrunError(
                    f"{path} does not hold positions of files ({error}); "
                    f"remove it to send every file from its beginning"
                ) from error

    def save(self) -> None:
        """Write down what was reached: all of it is acknowledged."""
        if self.reached != self._saved:
            state = {name: asdict(position) for name, position in self.reached.items()}
            replace_file(self._path, json.dumps(state, indent=1).encode())
            self._saved = {name: Position(**fields) for name, fields in state.items()}


class Follower:
    """One path, whatever files carry its name.

    from_end: a file that was never followed is read from its present end. max_line_bytes: a longer
    line is not kept in memory but counted in `num_too_long`.
    """

    def __init__(
        self, path: Path, positions: Positions, *, max_line_bytes: int, from_end: bool = False
    ) -> None:
        self.path = path.absolute()
        self.num_too_long = 0
        self._name = str(self.path)
        self._positions = positions
        self._max_line_bytes = max_line_bytes
        self._from_end = from_end and self._name not in positions.reached
        self._file: IO[bytes] | None = None
        self._partial = b""
        self._num_skipped = 0
        self._rotated_at: float | None = None

    def lines(self) -> Iterator[bytes]:
        """The whole lines that are there now and were not given yet, without their ends.

        `Positions.reached` stands behind each line when it is given. Raises OSError.
        """
        if self._file is None:
            self._open()
        if self._file is None:
            return
        while True:
            before = self._file.tell()
            yield from self._read()
            if self._file.tell() > before:
                self._rotated_at = None
                continue
            last = self._change()
            if last is None:
                return
            if last:
                yield last

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def num_waiting_bytes(self) -> int:
        """Of a last line whose end is not written yet, and which was not given for that."""
        return self._num_skipped + len(self._partial)

    @property
    def _position(self) -> Position:
        return self._positions.reached[self._name]

    def _open(self) -> None:
        """Open the file to go on with, if there is one."""
        before = self._positions.reached.get(self._name)
        path = self.path
        if before is not None and not _is_at(before, path):
            path = next((p for p in _siblings(self.path) if _is_at(before, p)), self.path)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        self._file = file
        self._partial = b""
        self._num_skipped = 0
        self._rotated_at = None
        status = os.fstat(file.fileno())
        if before is not None and _is_at(before, path) and status.st_size >= before.offset:
            file.seek(before.offset)
            return
        start = status.st_size if self._from_end else 0
        self._from_end = False
        file.seek(start)
        self._positions.reached[self._name] = Position(status.st_dev, status.st_ino, start)

    def _read(self) -> Iterator[bytes]:
        """The lines of one piece of the file."""
        assert self._file is not None
        piece = self._file.read(READ_BYTES)
        if not piece:
            return
        self._know_head()
        *whole, rest = (self._partial + piece).split(b"\n")
        for line in whole:
            self._partial = b""
            num_bytes = self._num_skipped + len(line)
            self._num_skipped = 0
            self._position.offset += num_bytes + 1
            if num_bytes > self._max_line_bytes:
                self.num_too_long += 1
                continue
            yield line.removesuffix(b"\r")
        self._partial = rest
        if self._num_skipped + len(rest) > self._max_line_bytes:
            # Not kept: it would fill the memory.
            self._num_skipped += len(rest)
            self._partial = b""

    def _know_head(self) -> None:
        """Hash the first bytes, until there are enough of them."""
        position = self._position
        if position.num_head == HEAD_BYTES:
            return
        assert self._file is not None
        head = os.pread(self._file.fileno(), HEAD_BYTES, 0)
        position.num_head = len(head)
        position.head = hashlib.sha256(head).hexdigest()

    def _change(self) -> bytes | None:
        """At the end of what is there: is the file another by now?

        None: no. Else the last line of the one that ended, if it had no end.
        """
        assert self._file is not None
        position = self._position
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            last, self._partial, self._num_skipped = self._partial, b"", 0
            self._file.seek(0)
            self._positions.reached[self._name] = Position(position.device, position.inode, 0)
            return last
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return None  # renamed, and the new one is not there yet
        if (named.st_dev, named.st_ino) == (position.device, position.inode):
            return None
        now = time.monotonic()
        self._rotated_at = self._rotated_at or now
        if now - self._rotated_at < QUIET_S:
            return None
        last = self._partial
        self.close()
        self._positions.reached[self._name] = Position(named.st_dev, named.st_ino, 0)
        self._open()
        return last


def _is_at(position: Position, path: Path) -> bool:
    """Whether the file of this position lies at `path`."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) != (position.device, position.inode):
                return False
            head = file.read(position.num_head)
    except OSError:
        return False
    is_whole = len(head) == position.num_head
    return is_whole and position.head in ("", hashlib.sha256(head).hexdigest())


def _siblings(path: Path) -> list[Path]:
    """Files that may be this one under a name that a rotation gave it."""
    return sorted(p for p in path.parent.glob(f"{path.name}*") if p != path and p.is_file())
