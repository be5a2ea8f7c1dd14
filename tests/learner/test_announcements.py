"""The audit log keeps what happened, also after its topic was compacted."""

import msgspec
import pytest

from learner.announcements import event_of, events_of
from riverrun.records import VersionEvent, VersionEventKind
from riverrun.store import Consequence, Manifest

MANIFEST = Manifest(
    version="ab12-3-ff", parent=None, run="ab12", step=3, created_ms=0, model="small",
    config_hash="", sha256="", num_bytes=0, offsets={}, learned=[], num_documents=1,
    num_tokens=1, newest_ms=None, metrics={},
)  # fmt: skip


def compacted(events: list[VersionEvent]) -> list[tuple[str, str | None]]:
    """What Kafka keeps: of each key, the newest."""
    kept: dict[str, VersionEvent] = {}
    for event in events:
        kept.pop(event.key, None)
        kept[event.key] = event
    return [(event.kind, event.subject) for event in kept.values()]


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [("promote", "promoted"), ("hold", "held"), ("roll_back", "rolled_back")],
)
def test_compaction_keeps_all_that_a_decision_did_and_the_versions_outcome(
    decision: str, outcome: str
) -> None:
    manifest = msgspec.structs.replace(
        MANIFEST,
        decision=decision,
        consequences=[
            Consequence("rate_lowered"),
            Consequence("quarantined", "wiki"),
            Consequence("quarantined", "news"),
            Consequence("ability", "knowledge"),
        ],
    )
    assert compacted(events_of(manifest)) == [
        ("rate_lowered", None),
        ("quarantined", "wiki"),
        ("quarantined", "news"),
        ("ability", "knowledge"),
        (outcome, None),
    ]


@pytest.mark.parametrize("kind", ["rolled_back", "refused"])
def test_what_is_told_beside_a_version_neither_replaces_its_outcome_nor_is_replaced(
    kind: VersionEventKind,
) -> None:
    """A gate's roll back, told when the new line's first version is there, or given up; answers."""
    told = event_of(MANIFEST, kind, "wiki")
    answers = [msgspec.structs.replace(told, command=command) for command in ("c1", "c2")]
    taken_over = msgspec.structs.replace(told, subject=None, replaces="cd34")
    events = [*events_of(MANIFEST), told, *answers, *events_of(MANIFEST), taken_over]
    assert compacted(events) == [
        (kind, "wiki"),
        (kind, "wiki"),
        (kind, "wiki"),
        ("promoted", None),
        (kind, None),
    ]
