from pathlib import Path
from typing import Any

import pytest

from learner.control.choices import Choices
from learner.quarantine import Quarantine
from riverrun.commands import CommandKind, RawRange, new_command
from riverrun.errors import RiverrunError
from riverrun.store import VersionStore
from riverrun.store.retention import prune
from tests.riverrun.store.publishing import publish


@pytest.fixture
def line(tmp_path: Path) -> tuple[VersionStore, list[str]]:
    """Four versions, each the next one's parent; the second has no weights, the last is served."""
    store = VersionStore(str(tmp_path))
    versions: list[str] = []
    for step in range(1, 5):
        versions.append(publish(store, step, versions[-1] if versions else None).version)
    store.promote(versions[3])
    assert prune(store, 2, wanted=versions[:1]) == versions[1:2]
    return store, versions


def choices(store: VersionStore) -> Choices:
    quarantine = Quarantine()
    quarantine.add("kept")
    return Choices(store, quarantine, num_partitions=4)


def test_going_back_means_the_newest_ancestor_that_has_weights(
    line: tuple[VersionStore, list[str]],
) -> None:
    store, versions = line
    back = new_command("roll_back", "test")
    for served, expected in ((versions[3], versions[2]), (versions[2], versions[0])):
        store.promote(served)
        assert choices(store).make(back).version == expected
    store.promote(versions[0])
    with pytest.raises(RiverrunError, match="no version before"):
        choices(store).make(back)


def test_what_is_named_is_what_is_meant(line: tuple[VersionStore, list[str]]) -> None:
    store, versions = line
    whats: list[tuple[CommandKind, dict[str, Any]]] = [
        ("hold", {}),
        ("promote", {"version": versions[0]}),
        ("roll_back", {"version": versions[0]}),
        ("quarantine_source", {"source": "new"}),
        ("release_source", {"source": "kept"}),
        ("undo", {"version": versions[1]}),
        ("undo", {"ranges": [RawRange(partition=3, first=0, last=5)]}),
    ]
    for kind, what in whats:
        command = new_command(kind, "test", **what)
        assert choices(store).make(command) == command


@pytest.mark.parametrize(
    ("kind", "what", "told"),
    [
        ("promote", {}, "the id of a version"),
        ("promote", {"version": "gone"}, "no version 'gone'"),
        ("quarantine_source", {}, "the name of a source"),
        ("release_source", {"source": "free"}, r"a source in quarantine \(\['kept'\]\)"),
        ("undo", {}, "one of raw ranges, a source or a version"),
        ("undo", {"ranges": [RawRange(partition=4, first=0, last=5)]}, "one of 0 to 3"),
    ],
)
def test_what_cannot_be_done_is_refused(
    line: tuple[VersionStore, list[str]], kind: CommandKind, what: dict[str, Any], told: str
) -> None:
    with pytest.raises(RiverrunError, match=told):
        choices(line[0]).make(new_command(kind, "test", **what))


def test_a_version_without_weights_is_neither_promoted_nor_gone_back_to(
    line: tuple[VersionStore, list[str]],
) -> None:
    store, versions = line
    for kind in ("promote", "roll_back"):
        with pytest.raises(RiverrunError, match=r"the weights of .* are gone"):
            choices(store).make(new_command(kind, "test", version=versions[1]))  # type: ignore[arg-type]
