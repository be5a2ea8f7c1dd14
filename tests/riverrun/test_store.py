import contextlib
import errno
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.errors import InvalidValue, LeaseLost, StoreError, UnknownVersion, VersionRefused
from riverrun.records import Span
from riverrun.store import MANIFEST, PARTIAL, WEIGHTS, Manifest, VersionStore, version_id


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VersionStore]:
    """The same laws for a directory and for an object store."""
    if request.param == "local":
        yield VersionStore(str(tmp_path / "store"))
        return
    store = VersionStore(f"memory://{uuid.uuid4().hex}")
    yield store
    if store.fs.exists(store.root):
        store.fs.rm(store.root, recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> VersionStore:
    return VersionStore(str(tmp_path / "store"))


def publish(store: VersionStore, step: int, parent: str | None = None) -> Manifest:
    def describe(sha256: str, num_bytes: int) -> Manifest:
        return Manifest(
            version=version_id("run", step, sha256),
            parent=parent,
            run="run",
            step=step,
            created_ms=1_000 + step,
            model="tiny",
            config_hash="c",
            sha256=sha256,
            num_bytes=num_bytes,
            offsets={0: step, 3: 7},
            learned=[
                Span(
                    step=step,
                    partition=0,
                    raw_first=0,
                    raw_last=step,
                    clean_first=0,
                    clean_last=step,
                    num_documents=1,
                )
            ],
            num_documents=step,
            num_tokens=10 * step,
            newest_ms=None,
            metrics={"loss": 1.5},
        )

    return store.publish(lambda path: path.write_bytes(b"weights %d" % step) and None, describe)


def partials(store: VersionStore) -> list[Path]:
    return list((Path(store.root) / "versions").glob(f"{PARTIAL}*"))


def test_what_was_published_can_be_read(store: VersionStore) -> None:
    manifest = publish(store, 1)
    assert store.manifest(manifest.version) == manifest
    with store.weights(manifest.version) as path:
        assert path.read_bytes() == b"weights 1"
    assert store.has_weights(manifest.version)


def test_an_empty_store_has_nothing_promoted(store: VersionStore) -> None:
    assert store.promoted() is None
    assert store.versions() == []


def test_versions_come_oldest_first(store: VersionStore) -> None:
    ids = [publish(store, step).version for step in (2, 1, 3)]
    assert store.versions() == [ids[1], ids[0], ids[2]]


def test_publishing_does_not_promote(store: VersionStore) -> None:
    first = publish(store, 1).version
    store.promote(first)
    publish(store, 2)
    assert store.promoted() == first


def test_only_what_exists_can_be_promoted(store: VersionStore) -> None:
    with pytest.raises(UnknownVersion, match="no version 'gone'"):
        store.promote("gone")
    assert store.promoted() is None


def test_the_same_version_published_twice_is_one(store: VersionStore) -> None:
    assert publish(store, 1) == publish(store, 1)
    assert len(store.versions()) == 1


def test_an_interrupted_write_leaves_nothing(local: VersionStore) -> None:
    def interrupted(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.publish(interrupted, lambda *_: pytest.fail("not written"))
    assert local.versions() == []
    assert partials(local) == []


def test_a_full_disk_is_one_sentence_and_leaves_the_old_versions(local: VersionStore) -> None:
    before = publish(local, 1).version
    local.promote(before)

    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match=r"could not be written .*No space left on device"):
        local.publish(full, lambda *_: pytest.fail("not written"))
    assert local.versions() == [before]
    assert local.promoted() == before
    assert partials(local) == []


def test_a_real_full_file_system_is_a_store_error(local: VersionStore) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def write(path: Path) -> None:
        with Path("/dev/full").open("wb") as file:
            file.write(b"x" * 100_000)

    with pytest.raises(StoreError, match="No space left on device"):
        local.publish(write, lambda *_: pytest.fail("not written"))
    assert local.versions() == []


def test_readers_never_see_half_a_version(local: VersionStore) -> None:
    seen: list[list[str]] = []

    def write(path: Path) -> None:
        path.write_bytes(b"weights")
        seen.append(local.versions())

    def describe(sha256: str, num_bytes: int) -> Manifest:
        seen.append(local.versions())
        return publish_manifest(sha256, num_bytes)

    local.publish(write, describe)
    assert seen == [[], []]
    assert len(local.versions()) == 1


def publish_manifest(sha256: str, num_bytes: int) -> Manifest:
    return Manifest(
        version=version_id("run", 1, sha256),
        parent=None,
        run="run",
        step=1,
        created_ms=1,
        model="tiny",
        config_hash="c",
        sha256=sha256,
        num_bytes=num_bytes,
        offsets={},
        learned=[],
        num_documents=0,
        num_tokens=0,
        newest_ms=None,
        metrics={},
    )


def test_pruning_keeps_the_newest_and_the_promoted_one(store: VersionStore) -> None:
    ids = [publish(store, step).version for step in range(1, 6)]
    store.promote(ids[0])
    assert store.prune(2) == ids[1:3]
    assert [store.has_weights(version) for version in ids] == [True, False, False, True, True]
    assert store.versions() == ids, "manifests stay for the trace"
    with pytest.raises(UnknownVersion, match="retention"), store.weights(ids[1]):
        pass
    assert store.prune(2) == []


def test_pruning_spares_what_its_caller_wants(store: VersionStore) -> None:
    ids = [publish(store, step).version for step in range(1, 6)]
    assert store.prune(2, wanted=ids[1:2]) == [ids[0], ids[2]]
    assert store.prune(2) == [ids[1]]


def test_pruning_sweeps_what_a_killed_writer_left(local: VersionStore) -> None:
    version = publish(local, 1).version
    left = Path(local.root) / "versions" / f"{PARTIAL}abc"
    left.mkdir()
    (left / WEIGHTS).write_bytes(b"half")
    assert local.versions() == [version]
    local.prune(2)
    assert partials(local) == []


def test_changed_weights_are_refused(store: VersionStore) -> None:
    version = publish(store, 1).version
    store.fs.pipe_file(store._path("versions", version, WEIGHTS), b"weights 2")
    with pytest.raises(VersionRefused, match="SHA-256"), store.weights(version):
        pass


def test_a_damaged_manifest_is_refused(store: VersionStore) -> None:
    version = publish(store, 1).version
    store.fs.pipe_file(store._path("versions", version, MANIFEST), b'{"version": 1')
    with pytest.raises(VersionRefused, match="damaged"):
        store.manifest(version)


def test_the_model_files_come_back_as_they_were(store: VersionStore, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    store.put_model([config])
    assert (store.model_files(tmp_path / "into") / "config.json").read_text() == "{}"


def test_a_url_that_nothing_opens_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"store\.url: 'nonsense://x' is not allowed"):
        VersionStore("nonsense://x")


def test_a_pinned_version_is_spared_until_it_is_unpinned(store: VersionStore) -> None:
    versions = [publish(store, step).version for step in range(1, 7)]
    store.pin(versions[1], "before the new source")
    assert store.prune(2) == [versions[0], versions[2], versions[3]]
    assert store.pinned() == [versions[1]]
    store.unpin(versions[1])
    store.unpin(versions[1])
    assert store.prune(2) == [versions[1]]
    with pytest.raises(UnknownVersion, match="nothing to pin"):
        store.pin(versions[1], "too late")
    with pytest.raises(UnknownVersion):
        store.pin("run-000099-0", "never was")


def test_the_ladder_spares_the_first_version_of_each_period(store: VersionStore) -> None:
    versions = [publish(store, step).version for step in range(1, 7)]
    thirty_years_s = 1e9
    assert store.prune(2, [thirty_years_s]) == versions[1:4], "1970 is in the period before"
    assert store.prune(2, [3600.0]) == versions[:1], "and not in this hour or the last"


def test_behind_a_guard_that_refuses_nothing_changes(store: VersionStore) -> None:
    @contextlib.contextmanager
    def lost() -> Iterator[None]:
        raise LeaseLost("another learner has it")
        yield

    versions = [publish(store, step).version for step in range(1, 5)]
    store.promote(versions[0])
    store.fence(lost)
    for act in (
        lambda: store.promote(versions[1]),
        lambda: store.prune(2),
        lambda: publish(store, 9),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert store.promoted() == versions[0]
    assert store.versions() == versions
    assert all(store.has_weights(version) for version in versions)


def write_origin(path: Path) -> None:
    path.write_bytes(b"the untouched model")


def test_the_origin_is_kept_once_and_read_by_its_hash(store: VersionStore) -> None:
    sha256 = store.put_origin(write_origin)
    assert store.put_origin(write_origin) == sha256
    with store.origin(sha256) as path:
        assert path.read_bytes() == b"the untouched model"
    publish(store, 1)
    assert store.prune(keep=1) == []
    with store.origin(sha256):
        pass


def test_an_origin_that_is_gone_or_damaged_is_refused(local: VersionStore) -> None:
    sha256 = local.put_origin(write_origin)
    with pytest.raises(VersionRefused, match="are not in"), local.origin("0" * 64):
        pass
    (Path(local.root) / "origin" / sha256).write_bytes(b"another model")
    with pytest.raises(VersionRefused, match="SHA-256"), local.origin(sha256):
        pass


def test_an_origin_that_cannot_be_written_leaves_nothing(local: VersionStore) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(StoreError, match="no space"):
        local.put_origin(fail)
    assert not (Path(local.root) / "origin").exists()
