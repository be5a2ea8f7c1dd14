"""One holder at a time, with a higher term each time; whoever was followed can do nothing more."""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from learner.journal import Journal, Learned
from learner.lease import Held, Lease, Leases, is_abandoned
from learner.lease_place import FILE, Directory, ObjectStore
from riverrun.errors import DataDirInUse, LeaseLost
from riverrun.store import Manifest, VersionStore
from riverrun.store.retention import prune

SHORT_S = 0.3
NEVER = threading.Event()


OPEN: list[Lease] = []


@pytest.fixture(autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def lease(path: Path, length_s: float = SHORT_S, holder: str = "first") -> Lease:
    OPEN.append(Lease(Directory(path), length_s, holder))
    return OPEN[-1]


def taken(made: Lease) -> Lease:
    is_held, _ = made.acquire(NEVER)
    assert is_held
    return made


def held_in(path: Path) -> Held:
    return msgspec.json.decode((path / FILE).read_bytes(), type=Held)


def test_a_holder_that_left_is_followed_at_once_with_a_higher_term(tmp_path: Path) -> None:
    taken(lease(tmp_path, 3600)).release()
    began = time.monotonic()
    assert taken(lease(tmp_path, 3600, "second")).term == 2
    assert time.monotonic() - began < 10


def test_a_holder_that_renews_is_not_followed(tmp_path: Path) -> None:
    first = taken(lease(tmp_path, 1.0))
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(0.05):
            first.renew()

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        with pytest.raises(DataDirInUse, match=rf"process {os.getpid()} \(term 1\) learns there"):
            lease(tmp_path, 1.0, "second").acquire(NEVER)
        assert not is_abandoned(tmp_path, 1.0)
    finally:
        ended.set()
        renewing.join()
    with first.guard():
        pass


def test_a_silent_holder_is_followed_after_the_lease_and_can_do_nothing_more(
    tmp_path: Path,
) -> None:
    first = taken(lease(tmp_path))
    began = time.monotonic()
    second = taken(lease(tmp_path, holder="second"))
    assert time.monotonic() - began >= SHORT_S
    assert (first.term, second.term) == (1, 2)
    for act in (first.renew, lambda: first.guard().__enter__()):
        with pytest.raises(LeaseLost, match="silent for longer than its lease"):
            act()
    first.release()
    assert held_in(tmp_path).holder == "second", "the one that lost it does not give it away"
    with second.guard():
        pass


def test_a_longer_lease_of_the_holder_is_waited_for(tmp_path: Path) -> None:
    taken(lease(tmp_path, 0.8))
    began = time.monotonic()
    taken(lease(tmp_path, 0.1, "second"))
    assert time.monotonic() - began >= 0.8


def test_of_many_that_want_it_one_gets_it(tmp_path: Path) -> None:
    taken(lease(tmp_path)).release()
    is_taken = threading.Event()
    got: list[int] = []

    def want(number: int) -> None:
        made = lease(tmp_path, 3600, f"holder {number}")
        with contextlib.suppress(DataDirInUse):
            # Those that come late wait for a holder that is silent, until they are stopped.
            if made.acquire(is_taken)[0]:
                got.append(made.term)
                is_taken.set()

    threads = [threading.Thread(target=want, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [2]


def test_nobody_can_take_over_between_the_look_and_the_act(tmp_path: Path) -> None:
    first = taken(lease(tmp_path))
    with first.guard(), pytest.raises(DataDirInUse, match="held by a process that does not move"):
        lease(tmp_path, holder="second").acquire(NEVER)
    assert held_in(tmp_path).term == 1


def test_a_wait_for_the_lease_ends_with_stop(tmp_path: Path) -> None:
    taken(lease(tmp_path, 3600))
    stop = threading.Event()
    stop.set()
    assert lease(tmp_path, 3600, "second").acquire(stop) == (False, None)


def test_a_followed_learner_writes_no_journal_line_and_promotes_nothing(tmp_path: Path) -> None:
    first = taken(lease(tmp_path))
    journal = Journal(tmp_path / "journal", first.guard)
    journal.append(Learned(1))
    store = store_with(tmp_path / "store", "a", "b")
    store.promote("a")
    store.fence(first.guard)
    taken(lease(tmp_path, holder="second"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for act in (
        lambda: journal.append(Learned(2)),
        lambda: journal.begin_file(1),
        lambda: store.promote("b"),
        lambda: prune(store, 1),
        lambda: publish(store, "c"),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    journal.close()


def publish(store: VersionStore, version: str) -> None:
    def write(path: Path) -> None:
        path.write_bytes(version.encode())

    def describe(sha256: str, num_bytes: int) -> Manifest:
        return Manifest(
            version=version, parent=None, run="r", step=1, created_ms=1, model="tiny",
            config_hash="", sha256=sha256, num_bytes=num_bytes, offsets={}, learned=[],
            num_documents=0, num_tokens=0, newest_ms=None, metrics={},
        )  # fmt: skip

    store.publish(write, describe)


def store_with(path: Path, *versions: str) -> VersionStore:
    store = VersionStore(str(path))
    for version in versions:
        publish(store, version)
    return store


@pytest.fixture
def remote() -> Iterator[VersionStore]:
    store = VersionStore(f"memory://{uuid.uuid4().hex}")
    yield store
    if store.files.fs.exists(store.files.root):
        store.files.fs.rm(store.files.root, recursive=True)


def test_on_an_object_store_a_silent_holder_is_followed_and_fenced(remote: VersionStore) -> None:
    publish(remote, "a")
    first = taken(Lease(ObjectStore(remote.files), SHORT_S, "first"))
    remote.fence(first.guard)
    remote.promote("a")
    taken(Lease(ObjectStore(remote.files), SHORT_S, "second"))
    with pytest.raises(LeaseLost):
        remote.promote("a")


def test_who_is_dead_in_the_directory_is_dead_in_the_store(tmp_path: Path) -> None:
    """A learner that was killed starts again at once, also on an object store without locks."""
    store = VersionStore(f"memory://{uuid.uuid4().hex}")
    child = os.fork()
    if child == 0:
        with Leases(tmp_path, store, 3600).held(NEVER, lambda: None):
            # The memory of the child is not the parent's: only the directory is shared.
            os._exit(0)
    os.waitpid(child, 0)
    dead = held_in(tmp_path)
    assert dead.holder is not None
    store.files.fs.pipe_file(f"{store.files.root}/{FILE}", msgspec.json.encode(dead))
    leases = Leases(tmp_path, store, 3600)
    began = time.monotonic()
    with leases.held(NEVER, lambda: None) as is_held:
        assert is_held
        assert (leases.directory.term, leases.store.term) == (2, 2)
    assert time.monotonic() - began < 10


def test_a_lease_that_is_lost_is_told_of(tmp_path: Path) -> None:
    store = VersionStore(str(tmp_path / "store"))
    lost = threading.Event()
    leases = Leases(tmp_path / "learner", store, 0.3)
    with leases.held(NEVER, lost.set):
        leases.check()
        now = held_in(tmp_path / "learner")
        other = msgspec.structs.replace(now, term=now.term + 1, holder="other")
        while held_in(tmp_path / "learner").holder != "other":
            (tmp_path / "learner" / FILE).write_bytes(msgspec.json.encode(other))
        assert lost.wait(10)
        with pytest.raises(LeaseLost):
            leases.check()
