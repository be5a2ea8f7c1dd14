"""Where a lease lies: a directory, with locks that end with their process, or an object store.

    LEASE        who holds it: term, holder, renewals
    LEASE.lock   flock around a look at LEASE and the act that rests on it
    LEASE.alive  flock for as long as the holder lives, however it dies

An object store has LEASE alone. Knows nothing of terms or time. Called by `lease.py`.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Protocol

from learner.guard import Guard
from riverrun.errors import DataDirInUse
from riverrun.store.whole_files import WholeFiles
from riverrun.workspace import lock_within, replace_file

FILE = "LEASE"


class Place(Protocol):
    """Where a lease lies."""

    name: str

    def read(self) -> bytes | None: ...
    def write(self, data: bytes, guard: Guard) -> None:
        """Make `data` what is read, within `guard`; what can be done before it is."""
        ...

    def lock(self, patience_s: float | None) -> AbstractContextManager[None]:
        """Keep all others out; raises DataDirInUse when that takes longer than `patience_s`."""
        ...

    def is_dead(self) -> bool:
        """Whether the last holder is known to live no more."""
        ...

    def live(self) -> None:
        """Be known to live from now on."""
        ...


class Directory:
    """On a file system with locks."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.name = str(path)
        self._path = path
        self._lock: IO[str] | None = None
        self._alive: IO[str] | None = None

    def read(self) -> bytes | None:
        try:
            return (self._path / FILE).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, data: bytes, guard: Guard) -> None:
        replace_file(self._path / FILE, data, guard=guard)

    @contextlib.contextmanager
    def lock(self, patience_s: float | None) -> Iterator[None]:
        if self._lock is None:
            self._lock = (self._path / f"{FILE}.lock").open("a+")
        if patience_s is None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        elif not lock_within(self._lock, patience_s):
            raise DataDirInUse(
                f"{self._path / FILE}.lock is held by a process that does not move: it was paused "
                f"in the middle of a write. Continue or kill it ({self.read()!r})."
            )
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def is_dead(self) -> bool:
        try:
            with (self._path / f"{FILE}.alive").open("a+") as file:
                return lock_within(file, 0)
        except FileNotFoundError:
            return True

    def live(self) -> None:
        # A file of its own: the one before may still be locked, by a holder that is only paused.
        handle, beside = tempfile.mkstemp(dir=self._path, prefix=f".{FILE}.")
        self._alive = os.fdopen(handle, "a+")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        Path(beside).rename(self._path / f"{FILE}.alive")

    def close(self) -> None:
        for file in (self._lock, self._alive):
            if file is not None:
                file.close()


class ObjectStore:
    """Behind fsspec: reads and writes, and no locks."""

    def __init__(self, files: WholeFiles) -> None:
        self.name = files.url
        self._fs = files.fs
        self._path = files.path(FILE)

    def read(self) -> bytes | None:
        try:
            data: bytes = self._fs.cat_file(self._path)
        except FileNotFoundError:
            return None
        return data

    def write(self, data: bytes, guard: Guard) -> None:
        with guard():
            self._fs.pipe_file(self._path, data)

    def lock(self, patience_s: float | None) -> AbstractContextManager[None]:
        del patience_s
        return nullcontext()

    def is_dead(self) -> bool:
        return False

    def live(self) -> None:
        pass

    def close(self) -> None:
        pass


def place_of(files: WholeFiles) -> Directory | ObjectStore:
    return Directory(Path(files.root)) if files.is_local else ObjectStore(files)
