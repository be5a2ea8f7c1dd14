"""The whole process against a real Kafka: one worker for most of the laws here."""

import contextlib
import gzip
import statistics
import time
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from riverrun.kafka import Topics
from riverrun.records import RAW_TIMESTAMP_HEADER, Document
from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import Workspace
from tests.stream import running_worker
from tests.stream.running_worker import Readout, make_producer


@pytest.fixture(scope="module")
def system(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A system with a worker that runs as long as the tests of this file."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("stream"),
        kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"s{uuid.uuid4().hex[:8]}-"),
    )
    with running_worker.running(settings):
        yield settings


@pytest.fixture
def readout(system: Settings) -> Iterator[Readout]:
    with contextlib.closing(Readout(system)) as readout:
        yield readout


def test_a_document_is_in_its_raw_partition_with_its_raw_offset_and_time(
    system: Settings, producer: Any, readout: Readout
) -> None:
    raw = Topics(system.kafka.topic_prefix).raw
    value = b'{"text": "caf\xc3\xa9\\r\\n", "source": "wiki", "id": "7"}'
    sent = [producer.send(raw, value, partition=p).get(10) for p in (3, 0, 3, 1, 2)]
    readout.wait_for({(record.partition, record.offset) for record in sent})
    for record in sent:
        (clean,) = (
            c
            for c in readout.clean
            if (c.partition, c.raw_offset) == (record.partition, record.offset)
        )
        assert clean.record.key == b"wiki"
        headers = dict(clean.record.headers)
        assert headers[RAW_TIMESTAMP_HEADER] == b"%d" % record.timestamp
        assert msgspec.json.decode(clean.record.value, type=Document) == Document(
            text="café\n", source="wiki", timestamp_ms=record.timestamp, id="7"
        )


def test_what_is_no_document_is_a_dead_letter_with_its_reason_and_blocks_nothing(
    system: Settings, producer: Any, readout: Readout
) -> None:
    raw = Topics(system.kafka.topic_prefix).raw
    json_header = [("content-type", b"application/json")]
    bad: list[tuple[str, bytes | None, list[tuple[str, bytes]]]] = [
        ("too_large", b"x" * 10_000_000, []),
        ("not_utf8", b"\xff\xfe\x00", []),
        ("empty", b"", []),
        ("empty", " \u200b".encode(), []),
        ("no_value", None, []),
        ("bad_json", b"{oops", json_header),
        ("bad_field", b'{"text": ["a"]}', []),
        ("bad_field", b'{"text": {"text": "a"}}', []),
        ("bad_field", b'{"body": "a"}', []),
        ("bad_json", b'{"a":' * 100_000, json_header),
        ("not_utf8", "größer".encode("latin-1"), json_header),
        ("not_utf8", "größer".encode("latin-1"), [("content-type", b"text/plain; charset=utf-8")]),
        ("bad_field", b"%PDF-1.7", [("content-type", b"application/pdf")]),
        ("bad_field", gzip.compress(b"text"), [("content-encoding", b"gzip")]),
        ("bad_field", b"text", [("timestamp", b"tomorrow")]),
        ("future", b'{"text": "a", "timestamp": "2099-01-01T00:00:00Z"}', []),
        ("future", b"text", [("timestamp", b"2099-01-01T00:00:00Z")]),
    ]
    sent = []
    for index, (_, given, headers) in enumerate(bad):
        name = b"bad-%d" % index
        sent.append(producer.send(raw, given, key=name, headers=headers, partition=1).get(20))
    after = producer.send(raw, b"after the poison", partition=1).get(10)
    readout.wait_for({(record.partition, record.offset) for record in [*sent, after]})
    letters = {letter.offset: (key, letter) for key, letter in readout.letters}
    for index, (record, (reason, wrong, _)) in enumerate(zip(sent, bad, strict=True)):
        key, letter = letters[record.offset]
        assert (key, letter.reason) == (b"bad-%d" % index, reason)
        assert (letter.topic, letter.partition) == (raw, 1)
        assert letter.num_bytes == len(wrong or b"")
        assert letter.head == (wrong or b"")[:256]


def test_headers_of_any_client_say_whose_text_it_is_from_when_and_in_what(
    system: Settings, producer: Any, readout: Readout
) -> None:
    raw = Topics(system.kafka.topic_prefix).raw
    headers = [
        ("source", b"connector"),
        ("id", b"42"),
        ("timestamp", b"2026-01-02T03:04:05Z"),
        ("content-type", b"text/html; charset=utf-8"),
        ("connect.name", b"of no meaning to us"),
    ]
    sent = producer.send(
        raw, b"<p>High &amp; dry.</p>", key=b"row 7", headers=headers, partition=2
    ).get(10)
    readout.wait_for({(2, sent.offset)})
    (clean,) = (c for c in readout.clean if (c.partition, c.raw_offset) == (2, sent.offset))
    assert msgspec.json.decode(clean.record.value, type=Document) == Document(
        text="High & dry.", source="connector", timestamp_ms=1_767_323_045_000, id="42"
    )


def test_a_text_that_the_clean_topic_does_not_take_is_a_dead_letter(
    kafka_settings: Settings, producer: Any
) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    topics = Topics(kafka_settings.kafka.topic_prefix)
    admin = KafkaAdminClient(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    limit = {"max.message.bytes": "20000"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.clean, configs=limit)])
    admin.close()
    texts = [b"before", b"large " * 10_000, b"after"]
    sent = [producer.send(topics.raw, text, partition=0).get(10) for text in texts]
    with (
        contextlib.closing(Readout(kafka_settings)) as readout,
        running_worker.running(kafka_settings),
    ):
        readout.wait_for({(0, record.offset) for record in sent})
    assert [clean.raw_offset for clean in readout.clean] == [0, 2]
    ((_, letter),) = readout.letters
    assert (letter.reason, letter.offset) == ("too_large", 1)
    assert "max.message.bytes" in letter.detail


def test_aborted_text_is_left_out_and_the_gaps_do_not_stop_the_stream(
    system: Settings, kafka: str, readout: Readout
) -> None:
    raw = Topics(system.kafka.topic_prefix).raw
    sent = []
    # Each transaction ends with a marker, which takes an offset.
    with contextlib.contextmanager(make_producer)(
        kafka, transactional_id=uuid.uuid4().hex
    ) as producer:
        producer.init_transactions()
        for _ in range(3):
            producer.begin_transaction()
            producer.send(raw, b"aborted", partition=2).get(10)
            producer.abort_transaction()
            producer.begin_transaction()
            sent += [producer.send(raw, b"committed", partition=2) for _ in range(2)]
            producer.commit_transaction()
    records = [future.get(10) for future in sent]
    assert records[-1].offset - records[0].offset > len(records) - 1, "there are gaps"
    readout.wait_for({(record.partition, record.offset) for record in records})
    assert not any(b"aborted" in clean.record.value for clean in readout.clean)


def test_an_idle_worker_writes_a_document_within_a_tenth_of_a_second(
    system: Settings, producer: Any, readout: Readout
) -> None:
    # 3 ms on an idle machine; the bound leaves room for a busy one.
    raw = Topics(system.kafka.topic_prefix).raw
    seconds = []
    for index in range(30):
        record = producer.send(raw, b"quick %d" % index, partition=index % 4).get(10)
        acknowledged = time.monotonic()
        readout.wait_for({(record.partition, record.offset)})
        seconds.append(time.monotonic() - acknowledged)
    assert statistics.median(seconds) < 0.1, sorted(seconds)


def test_metrics_count_what_was_written(system: Settings) -> None:
    record = Workspace(system.data_dir).running("stream")
    assert record is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{record.metrics_port}/metrics") as reply:
        page = reply.read().decode()
    assert 'riverrun_stream_documents_total{source="wiki"} 5.0' in page
    assert 'riverrun_stream_rejections_total{reason="empty"} 2.0' in page
    assert 'riverrun_stream_position{partition="1"}' in page
    assert 'riverrun_stream_records_total{partition="1"}' in page
    assert 'riverrun_stream_duplicates_bytes{partition="1"}' in page
    assert 'riverrun_stream_watermark_seconds{source="wiki"}' in page
