from pathlib import Path

import pytest

from riverrun.errors import UnknownVersion
from riverrun.store import VersionStore
from riverrun.store.retention import PINNED, prune
from riverrun.store.versions import WEIGHTS
from riverrun.store.whole_files import PARTIAL
from tests.riverrun.store.publishing import partials, publish


def test_pruning_keeps_the_newest_and_the_promoted_one(store: VersionStore) -> None:
    ids = [publish(store, step).version for step in range(1, 6)]
    store.promote(ids[0])
    assert prune(store, 2) == ids[1:3]
    assert [store.has_weights(version) for version in ids] == [True, False, False, True, True]
    assert store.versions() == ids, "manifests stay for the trace"
    with pytest.raises(UnknownVersion, match="retention"), store.weights(ids[1]):
        pass
    assert prune(store, 2) == []


def test_pruning_spares_what_its_caller_wants(store: VersionStore) -> None:
    ids = [publish(store, step).version for step in range(1, 6)]
    assert prune(store, 2, wanted=ids[1:2]) == [ids[0], ids[2]]
    assert prune(store, 2) == [ids[1]]


def test_pruning_sweeps_what_a_killed_writer_left(local: VersionStore) -> None:
    version = publish(local, 1).version
    left = Path(local.files.root) / "versions" / f"{PARTIAL}abc"
    left.mkdir()
    (left / WEIGHTS).write_bytes(b"half")
    assert local.versions() == [version]
    prune(local, 2)
    assert partials(local) == []


def test_a_version_with_the_operators_pin_is_spared(store: VersionStore) -> None:
    versions = [publish(store, step).version for step in range(1, 7)]
    pin = store.files.path("versions", versions[1], PINNED)
    store.files.fs.pipe_file(pin, b"before the new source")
    assert prune(store, 2) == [versions[0], versions[2], versions[3]]
    store.files.fs.rm_file(pin)
    assert prune(store, 2) == [versions[1]]


def test_the_ladder_spares_the_first_version_of_each_period(store: VersionStore) -> None:
    versions = [publish(store, step).version for step in range(1, 7)]
    thirty_years_s = 1e9
    assert prune(store, 2, [thirty_years_s]) == versions[1:4], "1970 is in the period before"
    assert prune(store, 2, [3600.0]) == versions[:1], "and not in this hour or the last"
