"""Producing to a real Kafka: what is acknowledged is there, and the receipt says where."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from riverrun.cli.produce import content_type
from riverrun.cli.produce import produce as command
from riverrun.errors import BrokerError, InvalidValue, NotRunning
from riverrun.produce import RawProducer, Record, produce
from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import free_port


def consume(settings: Settings) -> list[ConsumerRecord]:
    """All that is in the raw topic, by partition and offset."""
    topic = f"{settings.kafka.topic_prefix}raw"
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, group_id=None)
    partitions = [TopicPartition(topic, p) for p in range(settings.kafka.num_partitions)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    num_records = sum(consumer.end_offsets(partitions).values())
    records: list[ConsumerRecord] = []
    deadline = time.monotonic() + 30
    while len(records) < num_records and time.monotonic() < deadline:
        for some in consumer.poll(timeout_ms=500).values():
            records += some
    consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def run(settings: Settings, *arguments: str, text: bytes | None = None) -> Result:
    kafka = settings.kafka
    assert kafka.bootstrap_servers is not None
    options = [
        *("--data-dir", str(settings.data_dir), "--bootstrap-servers", kafka.bootstrap_servers),
        *("--set", f"kafka.topic_prefix={kafka.topic_prefix}"),
        *("--set", f"kafka.max_record_bytes={kafka.max_record_bytes}"),
    ]
    return CliRunner().invoke(command, [*arguments, *options], input=text)


def test_the_receipt_names_the_offsets_of_every_record(kafka_settings: Settings) -> None:
    records = [Record(b"text %d" % i, source="diary") for i in range(5000)]
    receipt = produce(kafka_settings, records)
    there = consume(kafka_settings)
    assert receipt.num_records == len(there) == 5000
    assert sorted(record.value for record in there) == sorted(r.value for r in records)
    assert all(record.headers == [("source", b"diary")] for record in there)
    for partition, at in receipt.partitions.items():
        offsets = [record.offset for record in there if record.partition == partition]
        assert (at.first, at.last, at.num_records) == (offsets[0], offsets[-1], len(offsets))
    assert set(receipt.partitions) == {0, 1, 2, 3}, "no key: all partitions share the work"
    assert receipt.acked_at is not None
    assert abs(receipt.acked_at - time.time()) < 60


def test_records_of_one_key_stay_in_order_on_one_partition(kafka_settings: Settings) -> None:
    receipt = produce(kafka_settings, [Record(b"%d" % i, key=b"k") for i in range(300)])
    assert len(receipt.partitions) == 1
    assert [record.value for record in consume(kafka_settings)] == [b"%d" % i for i in range(300)]


def test_no_records_make_an_empty_receipt(kafka_settings: Settings) -> None:
    receipt = produce(kafka_settings, [])
    assert (receipt.num_records, receipt.partitions, receipt.acked_at) == (0, {}, None)


def test_ten_megabytes_pass_and_more_than_the_limit_is_refused_by_name(
    kafka_settings: Settings,
) -> None:
    with RawProducer(kafka_settings) as producer:
        producer.send(Record(b"x" * 10_000_000))
    assert producer.receipt.num_records == 1
    with RawProducer(kafka_settings) as producer:
        producer.send(Record(b"small"))
        with pytest.raises(InvalidValue, match=r"record 2: .*kafka\.max_record_bytes"):
            producer.send(Record(b"x" * 17_000_000))
    assert producer.receipt.num_records == 1, "what came before it is acknowledged"


def test_a_topic_that_takes_less_than_the_settings_say_refuses_by_name(
    kafka_settings: Settings,
) -> None:
    more = kafka_settings.kafka.model_copy(update={"max_record_bytes": 30_000_000})
    with pytest.raises(InvalidValue, match="record 1: "):
        produce(kafka_settings.model_copy(update={"kafka": more}), [Record(b"x" * 20_000_000)])


def test_a_kafka_that_is_not_there_is_an_error_in_bounded_time(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    kafka = KafkaSettings(bootstrap_servers=address, request_timeout_s=1.0)
    began = time.monotonic()
    with pytest.raises(BrokerError, match=address):
        produce(Settings(data_dir=tmp_path, kafka=kafka), [Record(b"text")])
    assert time.monotonic() - began < 15


def test_without_a_running_system_it_is_said_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riverrun.produce.FIND_BROKER_S", 0.1)
    with pytest.raises(NotRunning, match="riverrun up"):
        produce(Settings(data_dir=tmp_path), [Record(b"text")])


# The command


def test_every_line_is_one_record_and_blank_lines_are_none(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n\n  \ntwo \r\n")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe not UTF-8\nlast, without an end")
    done = run(
        kafka_settings, str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "-", text=b"piped\n"
    )
    assert done.exit_code == 0, done.output
    assert "2 blank lines skipped" in done.stderr
    values = {record.value for record in consume(kafka_settings)}
    assert values == {b"one", b"two ", b"\xff\xfe not UTF-8", b"last, without an end", b"piped"}


def test_the_receipt_is_a_line_a_partition_or_json(kafka_settings: Settings) -> None:
    topic = f"{kafka_settings.kafka.topic_prefix}raw"
    done = run(kafka_settings, "--key", "k", text=b"one\ntwo\n")
    partition = consume(kafka_settings)[0].partition
    assert done.stdout == f"{topic} {partition}: 0..1 (2 records)\n"
    done = run(kafka_settings, "--key", "k", "--json", text=b"three\n")
    assert json.loads(done.stdout) == {
        "topic": topic,
        "records": 1,
        "blank_lines": 0,
        "partitions": {str(partition): {"first": 2, "last": 2, "records": 1}},
    }


def test_source_goes_into_a_header_and_json_lines_say_that_they_are(
    kafka_settings: Settings,
) -> None:
    lines = b'{"text": "a", "id": 7}\n{ not json\nplain\n'
    assert run(kafka_settings, "--source", "wiki", "--key", "k", text=lines).exit_code == 0
    source = ("source", b"wiki")
    assert [record.headers for record in consume(kafka_settings)] == [
        [source, ("content-type", b"application/json")],
        [source, ("content-type", b"text/plain")],
        [source],
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"text", None),
        (b'{"text": "a"}', "application/json"),
        (b'  {"text": 3}', "application/json"),
        (b'{"messages": []}', "application/json"),
        (b'{"prompt": "a", "completion": "b"}', "application/json"),
        (b'{"completion": "b"}', "application/json"),
        (b'{"body": "a"}', "text/plain"),
        (b"{", "text/plain"),
        (b"{\xff}", "text/plain"),
        (b"[1]", None),
        (b"{" * 100_000, "text/plain"),
    ],
)
def test_only_an_object_with_a_field_of_a_record_is_json(line: bytes, expected: str | None) -> None:
    assert content_type(line) == expected


def test_a_missing_file_is_a_usage_error_before_anything_is_sent(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "there").write_bytes(b"text\n")
    done = run(kafka_settings, str(tmp_path / "there"), str(tmp_path / "absent"))
    assert done.exit_code == 2
    assert f"{tmp_path / 'absent'}: No such file" in done.output
    assert consume(kafka_settings) == []


@pytest.mark.parametrize("source", ["", " ", "a\nb", "x" * 201])
def test_a_source_that_is_no_name_is_a_usage_error(kafka_settings: Settings, source: str) -> None:
    done = run(kafka_settings, "--source", source, text=b"text\n")
    assert done.exit_code == 2
    assert consume(kafka_settings) == []


def test_a_line_too_large_ends_it_and_what_was_sent_is_said(kafka_settings: Settings) -> None:
    small = kafka_settings.kafka.model_copy(update={"max_record_bytes": 1024})
    settings = kafka_settings.model_copy(update={"kafka": small})
    done = run(settings, "--key", "k", text=b"one\n" + b"x" * 2000 + b"\nthree\n")
    assert isinstance(done.exception, InvalidValue)
    assert done.exception.exit_code == 2
    assert "0..0 (1 record)" in done.stdout
    assert [record.value for record in consume(kafka_settings)] == [b"one"]


def test_no_kafka_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "riverrun", "produce", "--data-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, "--bootstrap-servers", address, "--set", "kafka.request_timeout_s=1"],
        input=b"text\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1, done.stderr.decode()
    assert address.encode() in done.stderr
