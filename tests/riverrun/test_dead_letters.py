"""Dead letters in a real Kafka; where a fix is tried, a real stream worker cleans."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from riverrun.cli import root
from riverrun.dead_letters import DeadLetters, Original, Place
from riverrun.errors import InvalidValue
from riverrun.kafka import Topics
from riverrun.produce import Record, produce
from riverrun.records import RESENT_HEADER, Reason, Rejection, encode
from riverrun.settings import Settings
from tests.stream import running_worker
from tests.stream.running_worker import Readout

BAD = b'{"text": 7, "source": "wiki"}'


@pytest.fixture
def letters(kafka_settings: Settings) -> Iterator[DeadLetters]:
    """Two bad records and a good one between them; the bad ones have their letters."""
    from kafka import KafkaProducer

    topics = Topics(kafka_settings.kafka.topic_prefix)
    producer = KafkaProducer(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    records: list[tuple[bytes, Reason | None]] = [
        (BAD, "bad_field"),
        (b"Good text.", None),
        (b"\xff", "not_utf8"),
    ]
    for value, reason in records:
        at = producer.send(topics.raw, value, key=b"k", headers=[("source", b"ferry")]).get(10)
        if reason is not None:
            letter = Rejection(
                reason=reason,
                detail="as it is",
                topic=topics.raw,
                partition=at.partition,
                offset=at.offset,
                num_bytes=len(value),
                head=value,
                timestamp_ms=at.timestamp,
                source="ferry",
            )
            for _ in range(2):  # as a crash before the commit would leave it
                producer.send(topics.dead_letter, encode(letter), key=b"k").get(10)
    producer.close()
    with DeadLetters(kafka_settings) as letters:
        yield letters


def clean(settings: Settings) -> None:
    """Let a worker clean what is in `raw`."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=500,
    )
    consumer.assign([TopicPartition(f"{settings.kafka.topic_prefix}raw", p) for p in range(4)])
    wanted = {(record.partition, record.offset) for record in consumer}
    consumer.close()
    with contextlib.closing(Readout(settings)) as readout, running_worker.running(settings):
        readout.wait_for(wanted)


def riverrun(settings: Settings, *arguments: str) -> str:
    kafka = settings.kafka
    assert kafka.bootstrap_servers is not None
    options = [
        *("--data-dir", str(settings.data_dir), "--bootstrap-servers", kafka.bootstrap_servers),
        *("--set", f"kafka.topic_prefix={kafka.topic_prefix}"),
    ]
    result = CliRunner().invoke(root, [*arguments, *options])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_letters_are_listed_counted_and_shown_whole(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    assert letters.by_reason() == {"bad_field": 1, "not_utf8": 1}
    first, second = letters.letters()
    assert first.rejection.reason == "bad_field"
    assert second.rejection.source == "ferry"
    original = letters.original(first.place)
    assert original is not None
    assert (original.value, original.key) == (BAD, b"k")
    assert dict(original.headers)["source"] == b"ferry"

    shown = json.loads(riverrun(kafka_settings, "dead-letters", "--json"))
    assert [one["reason"] for one in shown] == ["bad_field", "not_utf8"]
    assert "bad_field" in riverrun(kafka_settings, "dead-letters", "--by-reason")
    place = shown[0]["place"]
    assert BAD.decode() in riverrun(kafka_settings, "dead-letters", "show", place)
    with pytest.raises(InvalidValue, match="partition of `raw`"):
        letters.original((99, 0))
    with pytest.raises(InvalidValue, match="an offset of 0 to"):
        letters.original((first.place[0], 10_000))


def test_a_record_is_sent_back_once_to_its_partition_with_its_headers_and_time(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    first = next(letters.letters())
    result = letters.send_back([first.place])
    (at,) = result.sent.values()
    assert at[0] == first.place[0]
    again = when_committed(letters, at)
    assert (again.value, again.key) == (BAD, b"k")
    headers = dict(again.headers)
    assert headers[RESENT_HEADER] == b"%d:%d" % first.place
    assert headers["source"] == b"ferry"
    assert int(headers["timestamp"]) == first.rejection.timestamp_ms

    repeated = letters.send_back([first.place])
    assert (repeated.sent, repeated.before) == ({}, [first.place])
    with DeadLetters(kafka_settings) as other:
        assert other.send_back([first.place]).sent == {}
        assert other.send_back([first.place], force=True).sent != {}


def when_committed(letters: DeadLetters, place: Place) -> Original:
    """Kafka marks a transaction's partitions a little after it has acknowledged the commit."""
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(InvalidValue):
            original = letters.original(place)
            assert original is not None
            return original
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_sent_back_by_reason_flows_on_or_is_a_new_letter(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    options = ("dead-letters", "send-back", "--reason", "not_utf8")
    would = riverrun(kafka_settings, *options, "--dry-run")
    assert len(would.splitlines()) == 1
    assert riverrun(kafka_settings, *options) == "1 sent back\n"
    assert riverrun(kafka_settings, *options).startswith("0 sent back\n1 were sent back before")
    clean(kafka_settings)
    reasons = [one.rejection.reason for one in letters.letters()]
    # The worker has cleaned all three, and the one that was sent back.
    assert sorted(reasons) == ["bad_field", "not_utf8", "not_utf8", "sent_back"]


def test_a_send_back_that_dies_in_the_middle_has_sent_nothing(
    letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [one.place for one in letters.letters()]

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(DeadLetters, "_note", die)
        with pytest.raises(KeyboardInterrupt):
            letters.send_back(places)
    assert letters.sent_back() == set()
    assert set(letters.send_back(places).sent) == set(places)


def test_a_record_that_retention_took_is_told_and_nothing_is_sent(
    letters: DeadLetters, kafka_settings: Settings
) -> None:
    from kafka import KafkaAdminClient, TopicPartition

    place = next(letters.letters()).place
    admin = KafkaAdminClient(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    raw = TopicPartition(f"{kafka_settings.kafka.topic_prefix}raw", place[0])
    admin.delete_records({raw: place[1] + 1})
    admin.close()
    assert letters.original(place) is None
    assert letters.send_back([place]).gone == [place]
    assert "not in `raw`" in riverrun(
        kafka_settings, "dead-letters", "show", f"{place[0]}:{place[1]}"
    )


def test_a_paused_source_flows_again_on_command_and_its_text_is_sent_back(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    strict = kafka_settings.model_copy(
        update={
            "stream": kafka_settings.stream.model_copy(
                update={"pause_rejections": 5, "pause_share": 0.5}
            )
        }
    )
    bad = [Record(b"\xff", source="broken", key=b"k") for _ in range(5)]
    produce(strict, [*bad, Record(b"Kept back.", source="broken", key=b"k")])
    clean(strict)
    with DeadLetters(strict) as letters:
        assert letters.by_reason() == {"not_utf8": 5, "paused": 1}
        # Another worker, of another directory, takes over what the first one knew.
        strict = strict.model_copy(update={"data_dir": tmp_path / "other"})
        produce(strict, [Record(b"Kept back too.", source="broken", key=b"k")])
        clean(strict)
        assert letters.by_reason()["paused"] == 2
        told = riverrun(strict, "dead-letters", "resume", "broken")
        assert "send-back --reason paused --source broken" in told
        output = riverrun(strict, "dead-letters", "send-back", "--reason", "paused")
        assert output == "2 sent back\n"
        clean(strict)
        assert letters.by_reason()["paused"] == 2
    with contextlib.closing(Readout(strict)) as readout:
        for _ in range(50):
            readout.poll()
        texts = [json.loads(one.record.value)["text"] for one in readout.clean]
    assert texts == ["Kept back.", "Kept back too."], "in their order"
