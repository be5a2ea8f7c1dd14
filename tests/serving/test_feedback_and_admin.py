"""Feedback and commands against a real Kafka: there before the reply, once for each id."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from riverrun.answers import Outcome
from riverrun.client import Client
from riverrun.commands import Command, CommandKind
from riverrun.errors import RequestFailed
from riverrun.feedback import Feedback, Turn
from riverrun.kafka import Topics
from riverrun.records import VersionEvent, VersionEventKind, encode
from riverrun.settings import KafkaSettings, Settings
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server, wait_for


def records(settings: Settings, topic: str, kind: type[Any]) -> list[Any]:
    """All that is in the topic's only partition now."""
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, group_id=None)
    try:
        consumer.assign([place])
        consumer.seek_to_beginning()
        end = consumer.end_offsets([place])[place]
        found: list[Any] = []
        deadline = time.monotonic() + 20
        while consumer.position(place) < end and time.monotonic() < deadline:
            some = consumer.poll(timeout_ms=200).get(place, [])
            found += [msgspec.json.decode(record.value, type=kind) for record in some]
        return found
    finally:
        consumer.close()


@pytest.fixture
def river(published: Published, kafka_settings: Settings) -> Iterator[RunningServer]:
    """A server with version 1 live, and a Kafka."""
    published.publish(1)
    with running_server(published.root, kafka=kafka_settings.kafka) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def user(river: RunningServer) -> Iterator[Client]:
    with Client(river.address, timeout_s=60, retries=0) as client:
        yield client


def feedback_of(river: RunningServer) -> list[Feedback]:
    topics = Topics(river.settings.kafka.topic_prefix)
    return records(river.settings, topics.feedback, Feedback)


def test_feedback_is_in_kafka_with_what_was_said_when_the_reply_comes(
    river: RunningServer, user: Client
) -> None:
    answer = user.generate("the river", max_tokens=5)
    receipt = user.rate(answer, -0.5, feedback_id="one")
    (rating,) = feedback_of(river)
    assert (receipt.id, receipt.offset, receipt.repeated) == ("one", 0, False)
    assert rating.rating == -0.5
    assert (rating.request_id, rating.version) == (answer.request_id, answer.version.id)
    assert rating.messages == [Turn(role="prompt", content="the river")]
    assert rating.answer == answer.text

    messages = [{"role": "user", "content": "who?"}]
    chat = user.stream(messages=messages, max_tokens=5)
    list(chat)
    user.correct(chat.answer, "The ferry.")
    user.prefer(chat.answer.request_id, chosen="The ferry, of course.")
    _, correction, preference = feedback_of(river)
    assert correction.messages == [Turn(role="user", content="who?")]
    assert (correction.kind, correction.correction) == ("correction", "The ferry.")
    assert (preference.chosen, preference.rejected) == ("The ferry, of course.", chat.answer.text)


def test_the_same_feedback_twice_or_at_once_is_one_record(
    river: RunningServer, user: Client
) -> None:
    answer = user.generate("x", max_tokens=2)
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: user.rate(answer, 1.0, feedback_id="once"), range(16)))
    assert len(feedback_of(river)) == 1
    assert {receipt.offset for receipt in receipts} == {0}
    assert [receipt.repeated for receipt in receipts].count(False) == 1
    with pytest.raises(RequestFailed) as failed:
        user.rate(answer, -1.0, feedback_id="once")
    assert (failed.value.code, failed.value.field) == ("ALREADY_EXISTS", "id")
    assert failed.value.reason == "ID_TAKEN"


def test_feedback_on_a_reply_that_does_not_exist_names_the_field(
    river: RunningServer, user: Client
) -> None:
    with pytest.raises(RequestFailed) as failed:
        user.rate("nobody", 1.0)
    assert (failed.value.code, failed.value.field) == ("NOT_FOUND", "subject.request_id")
    assert failed.value.reason == "UNKNOWN_REPLY"
    assert user.rate("nobody", 1.0, prompt="asked", answer="said").offset == 0
    (record,) = feedback_of(river)
    assert (record.request_id, record.answer, record.version) == ("nobody", "said", "")


def test_what_feedback_may_not_say_is_named(user: Client) -> None:
    answer = user.generate("x", max_tokens=4)
    cases: list[tuple[Any, str]] = [
        (lambda: user.rate(answer, 1.5), "rating"),
        (lambda: user.rate(answer, float("nan")), "rating"),
        (lambda: user.rate(answer, 1.0, feedback_id="a b"), "id"),
        (lambda: user.rate(None, 1.0, prompt="asked"), "subject.answer"),
        (lambda: user.rate(answer, 1.0, prompt="another"), "subject.input"),
        (lambda: user.rate(answer, 1.0, answer="not what was said"), "subject.answer"),
        (lambda: user.correct(answer, ""), "correction"),
        (lambda: user.correct(answer, "x" * (1024 * 1024 + 1)), "correction"),
        (lambda: user.prefer(answer), "rejected"),
        (lambda: user.prefer(answer, chosen=answer.text), "rejected"),
        (lambda: user.prefer(None, prompt="p", chosen="only one"), "subject.answer"),
    ]
    for call, field in cases:
        with pytest.raises(RequestFailed) as failed:
            call()
        assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", field)


def test_without_kafka_feedback_is_unavailable_and_answers_go_on(published: Published) -> None:
    published.publish(1)
    away = KafkaSettings(bootstrap_servers="127.0.0.1:9")
    with (
        running_server(published.root, kafka=away) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
    ):
        answer = client.generate("x", max_tokens=2)
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(client.rate, answer, 1.0)
            while not refused.done():
                assert client.generate("x", max_tokens=2).text == answer.text
            with pytest.raises(RequestFailed) as failed:
                refused.result()
        assert failed.value.code == "UNAVAILABLE"
        assert failed.value.retry_after_s
        assert failed.value.reason == "KAFKA_AWAY"


EVENTS: dict[CommandKind, VersionEventKind] = {
    "promote": "promoted",
    "hold": "held",
    "release": "promoted",
    "roll_back": "rolled_back",
    "pause": "paused",
    "resume": "resumed",
}


class FakeLearner:
    """Answers each command in the audit log, as the learner is expected to; refuses the others."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.kafka.topic_prefix)
        self._stop = threading.Event()
        self.seen: list[Command] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "FakeLearner":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        servers = self._settings.kafka.bootstrap_servers
        consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None)
        producer = KafkaProducer(bootstrap_servers=servers, acks="all")
        place = TopicPartition(self._topics.control, 0)
        consumer.assign([place])
        consumer.seek_to_beginning()
        while not self._stop.is_set():
            for record in consumer.poll(timeout_ms=50).get(place, []):
                command = msgspec.json.decode(record.value, type=Command)
                is_new = command.id not in {one.id for one in self.seen}
                self.seen.append(command)
                if is_new:
                    event = encode(self._event(command))
                    producer.send(self._topics.versions, event, key=b"v").get()
        consumer.close()
        producer.close()

    def _event(self, command: Command) -> VersionEvent:
        kind = EVENTS.get(command.kind, "refused")
        return VersionEvent(
            kind=kind,
            version=command.version or "now",
            parent=None,
            step=1,
            reason="not while learning" if kind == "refused" else "as asked",
            at_ms=1,
            offsets={},
            metrics={},
            command=command.id,
        )


def test_a_command_comes_back_with_what_the_learner_did(
    river: RunningServer, user: Client, published: Published
) -> None:
    version = published.publish(2, promote=False)
    with FakeLearner(river.settings) as learner:
        done = user.promote(version, reason="looks good", command_id="c1", wait_s=20)
        assert (done.state, done.event, done.version_id) == ("done", "promoted", version)
        refused = user.undo(source="a bad feed", wait_s=20)
        assert (refused.state, refused.reason) == ("refused", "not while learning")
        # The same id again: the learner acts once, and the outcome is found again.
        again = user.promote(version, reason="looks good", command_id="c1", wait_s=20)
        assert (again.state, again.event) == ("done", "promoted")
        wait_for(lambda: len(learner.seen) == 3, "all read")
        first = learner.seen[0]
        assert (first.kind, first.version, first.reason) == ("promote", version, "looks good")


def test_each_command_is_written_as_what_it_is(
    river: RunningServer, user: Client, published: Published
) -> None:
    before = published.store.promoted()
    assert before is not None
    calls: list[tuple[Callable[..., Outcome], CommandKind, str | None]] = [
        (user.hold, "hold", None),
        (user.release, "release", None),
        (user.pause_learning, "pause", None),
        (user.resume_learning, "resume", None),
        (user.roll_back, "roll_back", None),
        (partial(user.roll_back, before), "roll_back", before),
    ]
    with FakeLearner(river.settings) as learner:
        for call, kind, version in calls:
            outcome = call(reason=f"to {kind}", wait_s=20)
            assert (outcome.state, outcome.event) == ("done", EVENTS[kind])
            assert outcome.version_id == (version or "now")
            written = next(one for one in learner.seen if one.id == outcome.command_id)
            assert (written.kind, written.version) == (kind, version)
            assert written.reason == f"to {kind}"


def test_without_an_answer_in_time_a_command_is_accepted_and_stays(
    river: RunningServer, user: Client
) -> None:
    assert user.hold(command_id="mine", wait_s=0).state == "accepted"
    started = time.monotonic()
    with Client(river.address, timeout_s=2.0, retries=0) as hurried:
        undone = hurried.undo(ranges=[(0, 5, 9)], reason="a bad feed")
    assert undone.state == "accepted"
    assert time.monotonic() - started < 2.5, "within the deadline"
    topics = Topics(river.settings.kafka.topic_prefix)
    commands = records(river.settings, topics.control, Command)
    assert [command.kind for command in commands] == ["hold", "undo"]
    assert commands[0].id == "mine"
    assert [(r.partition, r.first, r.last) for r in commands[1].ranges] == [(0, 5, 9)]


def test_a_command_that_cannot_be_is_refused_before_it_is_written(
    river: RunningServer, user: Client, published: Published
) -> None:
    kept = published.store.promoted()
    gone = published.publish(2, promote=False)
    (published.root / "store" / "versions" / gone / "weights.safetensors").unlink()
    with pytest.raises(RequestFailed) as failed:
        user.promote("nobody-1-x")
    assert failed.value.code == "NOT_FOUND"
    with pytest.raises(RequestFailed) as failed:
        user.promote(gone)
    assert (failed.value.code, failed.value.reason) == ("FAILED_PRECONDITION", "VERSION_GONE")
    assert failed.value.metadata["nearest"] == kept
    cases: list[tuple[Any, str]] = [
        (lambda: user.promote(""), "version_id"),
        (lambda: user.hold(reason="x" * 1025), "order.reason"),
        (lambda: user.hold(wait_s=601), "order.wait_ms"),
        (lambda: user.hold(command_id="a/b"), "order.command_id"),
        (lambda: user.undo(source=""), "source"),
        (lambda: user.undo(ranges=[]), "ranges.ranges"),
        (lambda: user.undo(ranges=[(0, 9, 5)]), "ranges.ranges[0].first"),
        (lambda: user.release_source("s" * 257), "source"),
    ]
    for call, field in cases:
        with pytest.raises(RequestFailed) as failed:
            call()
        assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", field)
    assert records(river.settings, Topics(river.settings.kafka.topic_prefix).control, Command) == []
