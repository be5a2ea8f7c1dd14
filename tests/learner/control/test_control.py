"""The operator's commands, told to the real learner over the real topic."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from learner.undo.dry_run import plan_beside
from learner.undo.intent import read_intent
from learner.verify import verify
from riverrun.commands import Command, RawRange, new_command
from riverrun.errors import Refused
from riverrun.kafka import Topics
from riverrun.records import RAW_OFFSET_HEADER, Document, LeftOut, VersionEvent, encode
from riverrun.settings import LearnerSettings, Settings
from riverrun.tell import tell
from riverrun.trace import CleanTopic, TracedDocument
from tests.learner.learner_process import DEADLINE_S, Learner


class Told:
    """A learner, the text that it gets, and what it is told."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir()
        self.settings = settings
        self.learner = Learner(settings)
        self.topics = Topics(settings.kafka.topic_prefix)
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
        self._raw: dict[int, int] = {}
        self.num_sent = 0

    def put(self, num_documents: int, *, partition: int = 0, source: str = "good") -> list[int]:
        """Clean documents of one source; gives their raw offsets."""
        offsets = []
        for _ in range(num_documents):
            raw = self._raw.get(partition, 0)
            self._raw[partition] = raw + 1
            text = f"document {raw} of {source}: the river runs {'so ' * (raw % 7)}to the sea"
            document = Document(text=text, source=source, timestamp_ms=1)
            self._producer.send(
                self.topics.clean,
                key=b"k",
                value=encode(document),
                partition=partition,
                headers=[(RAW_OFFSET_HEADER, str(raw).encode())],
            ).get(timeout=30)
            offsets.append(raw)
        self.num_sent += num_documents
        return offsets

    def wait_learned(self, num_documents: int) -> None:
        self.learner.wait(lambda: self.learner.has_learned(num_documents))

    def tell(self, kind: Any, **what: Any) -> VersionEvent:
        return self.send(new_command(kind, "test", reason="because", **what))

    def send(self, command: Command) -> VersionEvent:
        event = tell(self.settings, command, DEADLINE_S)
        assert event is not None, self.learner.log.read_text()
        assert event.command == command.id
        return event

    def newest(self) -> int:
        """Documents in the newest version, promoted or not."""
        store = self.learner.store
        return max(store.manifest(version).num_documents for version in store.ids())

    def traced(self) -> list[tuple[int, int, str]]:
        """Partition, raw offset and source of all that the served version has learned."""
        with CleanTopic(self.settings) as topic:
            return [
                (found.partition, found.raw_offset, found.document.source)
                for manifest in self.learner.line()
                for span in manifest.learned
                for found in topic.read(span, manifest.left_out)
                if isinstance(found, TracedDocument)
            ]

    def close(self) -> None:
        self._producer.close()
        if self.learner.child.poll() is None:
            self.learner.kill()


@pytest.fixture
def start(kafka_settings: Settings) -> Iterator[Callable[..., Told]]:
    opened: list[Told] = []

    def make(max_passes: int = 2) -> Told:
        learner = LearnerSettings(
            num_threads=1,
            nice=0,
            checkpoint_interval_s=0.3,
            keep_checkpoints=1000,
            max_passes=max_passes,
            lease_s=2.0,
        )
        opened.append(Told(kafka_settings.model_copy(update={"learner": learner})))
        return opened[-1]

    yield make
    for told in opened:
        told.close()


def test_what_serves_and_whether_anything_is_learned_is_the_operators_to_say(
    start: Callable[..., Told],
) -> None:
    # One pass: no version of a rehearsal comes in between.
    told = start(max_passes=1)
    learner = told.learner
    told.wait_learned(0)
    told.put(3)
    told.wait_learned(3)

    # Nothing is promoted while it is held, and the newest at once when released.
    assert told.tell("hold").kind == "held"
    held_at = learner.store.promoted()
    told.put(3)
    learner.wait(lambda: told.newest() == 6)
    assert learner.store.promoted() == held_at
    released = told.tell("release")
    assert released.kind == "promoted"
    assert released.version == learner.store.promoted() != held_at
    assert learner.has_learned(6)

    # Back by one, and held there; then on by name.
    back = told.tell("roll_back")
    assert (back.kind, back.version) == ("rolled_back", learner.store.promoted())
    assert learner.store.manifest(released.version).parent == back.version
    assert told.tell("promote", version=released.version).version == released.version
    assert learner.store.promoted() == released.version
    told.tell("release")

    # Paused, also over a restart; the text waits.
    assert told.tell("pause").kind == "paused"
    told.put(4)
    assert learner.stop() == 0
    learner.start()
    with pytest.raises(Refused, match="no version 'nobody'"):
        told.tell("promote", version="nobody")
    assert told.newest() == 6
    assert told.tell("resume").kind == "resumed"
    told.wait_learned(10)

    # The same id again acts no more: what came between stays.
    command = new_command("hold", "test")
    told.send(command)
    told.tell("release")
    assert told.send(command).kind == "held"
    told.put(1)
    told.wait_learned(11)
    with pytest.raises(Refused, match="a source in quarantine"):
        told.tell("release_source", source="good")
    with pytest.raises(Refused, match="text that was learned: none of it was"):
        told.tell("undo", ranges=[RawRange(partition=1, first=5, last=9)])
    with pytest.raises(Refused, match="partition: 17 is not allowed"):
        told.tell("undo", ranges=[RawRange(partition=17, first=5, last=9)])
    told.put(1)
    told.wait_learned(12)


def test_a_source_in_quarantine_is_learned_once_it_is_released(start: Callable[..., Told]) -> None:
    told = start()
    learner = told.learner
    told.wait_learned(0)
    told.put(2, source="odd")
    told.put(2)
    told.wait_learned(4)
    event = told.tell("quarantine_source", source="odd")
    assert (event.kind, event.subject) == ("quarantined", "odd")
    kept = told.put(3, source="odd", partition=0)
    told.put(2, source="odd", partition=1)
    told.put(3)
    told.wait_learned(7)
    told.put(2, source="odd", partition=2)
    told.put(1)
    told.wait_learned(8)
    assert not {(0, raw, "odd") for raw in kept} & set(told.traced())
    learner.kill()
    learner.start()
    told.put(1)
    told.wait_learned(9)
    event = told.tell("release_source", source="odd")
    assert event.kind == "source_released"
    assert "7 documents" in event.reason
    told.wait_learned(16)
    told.put(1, source="odd")
    told.wait_learned(17)
    assert learner.stop() == 0
    found = told.traced()
    assert len(found) == len(set(found)) == 17 == told.num_sent
    learner.start()
    told.put(1)
    told.wait_learned(18)
    last = learner.store.promoted()
    assert verify(told.settings, None, last, lambda *_: None).versions[-1] == last


def test_a_poisoned_range_is_undone_while_the_system_runs(start: Callable[..., Told]) -> None:
    told = start()
    learner = told.learner
    told.wait_learned(0)
    told.put(6)
    told.put(2, partition=1)
    told.wait_learned(8)
    poison = told.put(5, source="evil")
    told.wait_learned(13)
    told.put(4)
    told.wait_learned(17)
    before = learner.promoted()
    assert before is not None

    ranges = [LeftOut(partition=0, first=poison[0], last=poison[-1])]
    plan = plan_beside(told.settings, ranges, None, None)
    assert (plan.num_documents, plan.left_out) == (5, ranges)
    assert plan.goes[-1] == before.version
    assert plan.serve is not None
    assert plan.seconds is not None
    assert learner.store.manifest(plan.serve).num_documents <= 8

    event = told.tell("undo", ranges=[RawRange(partition=0, first=poison[0], last=poison[-1])])
    assert (event.kind, event.replaces) == ("undone", before.run)
    served = learner.promoted()
    assert served is not None
    assert served.version == event.version
    assert served.run != before.run == served.replaces
    assert served.num_documents == 12
    assert served.offsets == before.offsets
    assert {source for _, _, source in told.traced()} == {"good"}

    told.put(2)
    told.wait_learned(14)
    learner.kill()
    learner.start()
    told.put(2)
    told.wait_learned(16)
    found = told.traced()
    assert len(found) == len(set(found)) == 16
    assert {source for _, _, source in found} == {"good"}
    last = learner.store.promoted()
    verified = verify(told.settings, None, last, lambda *_: None)
    assert (verified.from_step, verified.versions[-1]) == (0, last)


def test_a_source_is_undone_and_its_text_that_waits_is_kept_apart(
    start: Callable[..., Told],
) -> None:
    told = start()
    told.wait_learned(0)
    told.put(3)
    told.put(3, source="evil")
    told.wait_learned(6)
    told.put(2)
    told.wait_learned(8)
    event = told.tell("undo", source="evil")
    assert event.kind == "undone"
    told.put(2, source="evil")
    told.put(1)
    told.wait_learned(6)
    assert {source for _, _, source in told.traced()} == {"good"}
    event = told.tell("release_source", source="evil")
    assert "2 documents" in event.reason
    told.wait_learned(8)
    assert told.traced().count((0, 8, "evil")) == 1
    # And by version: what the newest one learned.
    newest = told.learner.promoted()
    assert newest is not None
    told.put(2)
    told.wait_learned(10)
    victim = next(m for m in told.learner.line()[::-1] if m.learned)
    event = told.tell("undo", version=victim.version)
    served = told.learner.promoted()
    assert served is not None
    gone = sum(span.num_documents for span in victim.learned)
    assert served.num_documents == 10 - gone


def test_a_learner_killed_again_and_again_while_it_undoes_goes_on_with_it(
    start: Callable[..., Told],
) -> None:
    told = start()
    learner = told.learner
    told.wait_learned(0)
    told.put(3)
    told.wait_learned(3)
    poison = told.put(2, source="evil")
    told.wait_learned(5)
    told.put(2)
    told.wait_learned(7)
    learner.kill()
    directory = told.settings.data_dir / "learner"
    command = new_command(
        "undo", "test", ranges=[RawRange(partition=0, first=poison[0], last=poison[-1])]
    )
    assert tell(told.settings, command, 0) is None
    for _ in range(2):
        learner.start()
        learner.wait(lambda: read_intent(directory) is not None)
        learner.kill()
        intent = read_intent(directory)
        assert intent is not None
        assert intent.phase != "installed"
    learner.start()
    event = told.send(command)
    assert event.kind == "undone"
    assert {source for _, _, source in told.traced()} == {"good"}
    told.put(1)
    told.wait_learned(6)
    assert read_intent(directory) is None
