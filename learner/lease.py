"""One learner at a time: a lease with a term, renewed while its holder lives.

A second learner takes over at once when the holder is dead or has left, else when it saw no renewal
for the lease's length by its own clock (clocks of machines are never compared). It writes a higher
term. Whoever wakes from a pause finds that term before its next act, and stops with LeaseLost.

The look and the act are one critical section (`guard`): on a local file system, and on NFS with
locks (`lease_place.py`), nobody can take over between the two; a holder that is paused just there
keeps the others waiting, and they say so. An object store has no locks: there a window of one
request stays between the look and the write of PROMOTED; a store on a file system closes it.

Knows nothing of torch, so that it is there before torch is. Taken by `main.py`.
"""

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from learner.lease_place import FILE, Directory, ObjectStore, place_of
from riverrun.errors import DataDirInUse, LeaseLost
from riverrun.store import VersionStore

LOOKS_A_LEASE = 20
RENEWALS_A_LEASE = 3

log = logging.getLogger(__name__)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What LEASE says. holder: a random name of one process' life; None after it has left.

    renewals: counts up, so that others see it live.
    """

    term: int
    holder: str | None
    where: str
    renewals: int
    length_s: float


class Lease:
    """The lease at one place, for one holder. Its methods may be called from any thread."""

    def __init__(self, place: Directory | ObjectStore, length_s: float, holder: str) -> None:
        self._place = place
        self._length_s = length_s
        self._mutex = threading.Lock()
        where = f"{socket.gethostname()}, process {os.getpid()}"
        self._mine = Held(term=0, holder=holder, where=where, renewals=0, length_s=length_s)

    @property
    def term(self) -> int:
        return self._mine.term

    def acquire(
        self, stop: threading.Event, known_dead: str | None = None
    ) -> tuple[bool, str | None]:
        """Wait until the lease is free, and take it. False when `stop` was set meanwhile.

        known_dead: a holder that another place has shown to be dead. Gives the holder before as
        the second value if it is one now. Raises DataDirInUse when a holder renews it.
        """
        seen = self._read()
        patience_s = max(self._length_s, seen.length_s if seen else 0.0)
        deadline = time.monotonic() + patience_s
        while True:
            dead = seen is None or seen.holder in (None, known_dead) or self._place.is_dead()
            if dead or time.monotonic() >= deadline:
                break
            if stop.wait(patience_s / LOOKS_A_LEASE):
                return False, None
            now = self._read()
            if now != seen and (now is None or now.holder is not None):
                raise self._refused(now)
            seen = now
        term = 1 + (seen.term if seen else 0)
        mine = msgspec.structs.replace(self._mine, term=term)

        @contextlib.contextmanager
        def unless_changed() -> Iterator[None]:
            with self._place.lock(patience_s):
                if self._read() != seen:
                    raise self._refused(self._read())
                self._place.live()
                yield

        with self._mutex:
            self._place.write(msgspec.json.encode(mine), unless_changed)
            self._mine = mine
        if seen is not None and not dead:
            log.warning(
                "%s: %s has not renewed its lease for %g s; taken over with term %d",
                self._place.name, seen.where, patience_s, term,
            )  # fmt: skip
        return True, seen.holder if seen and dead else None

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Do what only the holder may. Raises LeaseLost, before anything is done.

        It is not taken twice by one thread.
        """
        with self._mutex, self._locked():
            yield

    def renew(self) -> None:
        """Raises LeaseLost."""
        with self._mutex:
            mine = msgspec.structs.replace(self._mine, renewals=self._mine.renewals + 1)
            self._place.write(msgspec.json.encode(mine), self._locked)
            self._mine = mine

    def release(self) -> None:
        """Leave, so that the next one need not wait. Nothing happens if it was lost."""
        with contextlib.suppress(LeaseLost), self._mutex:
            gone = msgspec.structs.replace(self._mine, holder=None)
            self._place.write(msgspec.json.encode(gone), self._locked)
        self.close()

    def close(self) -> None:
        """Leave without a word, as a death would."""
        self._place.close()

    def look(self) -> Held | None:
        """What LEASE says now."""
        return self._read()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """For as short as can be: a pause in here keeps everybody out."""
        with self._place.lock(None):
            self._check()
            yield

    def _check(self) -> None:
        held = self._read()
        if held is None or (held.term, held.holder) != (self._mine.term, self._mine.holder):
            who = "nobody" if held is None else f"{held.where} (term {held.term})"
            raise LeaseLost(
                f"{self._place.name} is now {who}'s: this learner (term {self._mine.term}) was "
                f"silent for longer than its lease of {self._length_s:g} s. It stops, and has "
                f"written nothing since."
            )

    def _read(self) -> Held | None:
        data = self._place.read()
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=Held)
        except msgspec.DecodeError as error:
            raise DataDirInUse(f"{self._place.name}/{FILE} is damaged: {error}") from error

    def _refused(self, held: Held | None) -> DataDirInUse:
        who = "another learner" if held is None else f"{held.where} (term {held.term})"
        return DataDirInUse(f"{self._place.name} is in use: {who} learns there.")


class Leases:
    """The lease on the data directory and the one on the store, and the thread that renews both."""

    def __init__(self, directory: Path, store: VersionStore, length_s: float) -> None:
        holder = secrets.token_hex(8)
        self.directory = Lease(Directory(directory), length_s, holder)
        self.store = Lease(place_of(store.files), length_s, holder)
        self._pause_s = length_s / RENEWALS_A_LEASE
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def held(self, stop: threading.Event, on_lost: Callable[[], None]) -> Iterator[bool]:
        """Hold both; False when `stop` was set before they were there.

        on_lost: called from the thread that renews when it finds that they are another's.
        Raises DataDirInUse.
        """
        taken: list[Lease] = []
        try:
            is_held, dead = self.directory.acquire(stop)
            if is_held:
                taken.append(self.directory)
                is_held, _ = self.store.acquire(stop, dead)
            if is_held:
                taken.append(self.store)
                self._thread = threading.Thread(
                    target=self._renew, args=(on_lost,), name="lease", daemon=True
                )
                self._thread.start()
            yield is_held
        finally:
            self._ended.set()
            if self._thread is not None:
                self._thread.join()
            for lease in reversed(taken):
                lease.release()
            for lease in (self.directory, self.store):
                lease.close()

    def check(self) -> None:
        """Raises LeaseLost when another has taken over."""
        for lease in (self.directory, self.store):
            with lease.guard():
                pass

    def _renew(self, on_lost: Callable[[], None]) -> None:
        while not self._ended.wait(self._pause_s):
            try:
                self.directory.renew()
                self.store.renew()
            except LeaseLost as error:
                log.error("%s", error)
                on_lost()
                return
            except OSError as error:
                log.error("the lease cannot be renewed, trying again: %s", error)


def is_abandoned(directory: Path, length_s: float) -> bool:
    """Whether whoever holds the lease in `directory` is silent for as long as it lasts.

    Takes that long to say yes, and ends with the first renewal that it sees. Somebody who has no
    lease yet, or has left it, is on the way: no.
    """
    if not (directory / FILE).exists():
        return False
    lease = Lease(Directory(directory), length_s, "")
    first = lease.look()
    if first is None or first.holder is None:
        return False
    patience_s = max(length_s, first.length_s)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        time.sleep(patience_s / LOOKS_A_LEASE)
        if lease.look() != first:
            return False
    return True
