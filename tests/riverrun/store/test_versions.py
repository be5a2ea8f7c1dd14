import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.errors import LeaseLost, StoreError, UnknownVersion, VersionRefused
from riverrun.store import Manifest, VersionStore, version_id
from riverrun.store.retention import prune
from riverrun.store.versions import MANIFEST, WEIGHTS
from tests.riverrun.store.publishing import partials, publish


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


def test_changed_weights_are_refused(store: VersionStore) -> None:
    version = publish(store, 1).version
    store.files.fs.pipe_file(store.files.path("versions", version, WEIGHTS), b"weights 2")
    with pytest.raises(VersionRefused, match="SHA-256"), store.weights(version):
        pass


def test_a_damaged_manifest_is_refused(store: VersionStore) -> None:
    version = publish(store, 1).version
    store.files.fs.pipe_file(store.files.path("versions", version, MANIFEST), b'{"version": 1')
    with pytest.raises(VersionRefused, match="damaged"):
        store.manifest(version)


def test_the_model_files_come_back_as_they_were(store: VersionStore, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    store.put_model([config])
    assert (store.model_files(tmp_path / "into") / "config.json").read_text() == "{}"


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
        lambda: prune(store, 2),
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
    assert prune(store, keep=1) == []
    with store.origin(sha256):
        pass


def test_an_origin_that_is_gone_or_damaged_is_refused(local: VersionStore) -> None:
    sha256 = local.put_origin(write_origin)
    with pytest.raises(VersionRefused, match="are not in"), local.origin("0" * 64):
        pass
    (Path(local.files.root) / "origin" / sha256).write_bytes(b"another model")
    with pytest.raises(VersionRefused, match="SHA-256"), local.origin(sha256):
        pass


def test_an_origin_that_cannot_be_written_leaves_nothing(local: VersionStore) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(StoreError, match="no space"):
        local.put_origin(fail)
    assert not (Path(local.files.root) / "origin").exists()
