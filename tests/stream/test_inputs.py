"""What Kafka itself may do to the worker: compressed batches, refusals, partitions, rebalances."""

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from riverrun.broker.kafka_process import KafkaProcess
from riverrun.broker.topics import ensure_topics
from riverrun.kafka import Topics
from riverrun.produce import Record, produce
from riverrun.records import Document
from riverrun.settings import KafkaSettings, Settings
from tests.stream import running_worker
from tests.stream.running_worker import Readout

LONG = "The {} message of the flood, told at such length that a repetition of it is one."


SHORT_SESSION = "import stream.app\nstream.app.SESSION_TIMEOUT_S = 6.0\n"
"""The least that Kafka allows: a worker that died is missed sooner."""


@pytest.fixture
def producer(kafka: str) -> Iterator[Any]:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka)
    yield producer
    producer.close()


def elsewhere(settings: Settings, directory: Path) -> Settings:
    """The settings of another worker of the same group."""
    return settings.model_copy(update={"data_dir": directory})


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def flood(settings: Settings, producer: Any, first: int, count: int) -> set[tuple[int, int]]:
    """Records of all partitions: text, no text, and repetitions of earlier text."""
    raw = Topics(settings.kafka.topic_prefix).raw
    futures = []
    for number in range(first, first + count):
        value = b"\xff" if number % 17 == 3 else LONG.format(number // 2).encode()
        # Two of the same text on one partition.
        futures.append(producer.send(raw, value, partition=number // 2 % 4))
    producer.flush()
    return {(f.get(10).partition, f.get(10).offset) for f in futures}


def check(readout: Readout, wanted: set[tuple[int, int]]) -> None:
    """Every record once: in `clean` or among the letters, in order, no repetition let through."""
    assert readout.seen() == wanted
    clean = {(one.partition, one.raw_offset) for one in readout.clean}
    letters = {(one.partition, one.offset): one.reason for _, one in readout.letters}
    assert not clean & letters.keys(), "a record got two verdicts"
    for partition, offsets in readout.first_occurrences().items():
        assert offsets == sorted(offsets), f"partition {partition} has a gap"
    first: dict[tuple[int, str], int] = {}
    for one in readout.clean:
        text = msgspec.json.decode(one.record.value, type=Document).text
        assert first.setdefault((one.partition, text), one.raw_offset) == one.raw_offset, text
    assert "duplicate" in letters.values()


def compressing(settings: Settings, codec: str) -> Settings:
    kafka = settings.kafka.model_copy(update={"compression": codec})
    return settings.model_copy(update={"kafka": kafka})


def test_every_compression_of_producers_is_read(kafka_settings: Settings) -> None:
    texts = []
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        # Batches that are small as they lie in Kafka and large when they are read.
        some = [f"{codec} {number}: " + LONG.format(number) * 100 for number in range(300)]
        produce(compressing(kafka_settings, codec), [Record(text.encode()) for text in some])
        texts += some
    with (
        contextlib.closing(Readout(kafka_settings)) as readout,
        running_worker.running(kafka_settings),
    ):
        wait_for(lambda: readout.poll() or len(readout.seen()) == len(texts), "all are read")
        found = [msgspec.json.decode(c.record.value, type=Document).text for c in readout.clean]
    assert sorted(found) == sorted(texts)


def test_a_compression_that_cannot_be_read_stops_the_worker_and_loses_nothing(
    kafka_settings: Settings,
) -> None:
    settings = compressing(kafka_settings, "zstd")
    produce(settings, [Record(b"Compressed text. " * 50)] * 20)
    without = "import aiokafka.codec\naiokafka.codec.cramjam = None\n"
    with running_worker.start(settings, before=without) as worker:
        try:
            assert worker.wait(timeout=60) == 1
        finally:
            worker.kill()
    assert "zstd" in running_worker.log_text(settings).splitlines()[-1]
    with contextlib.closing(Readout(settings)) as readout, running_worker.running(settings):
        wait_for(lambda: readout.poll() or len(readout.seen()) == 20, "all are read later")


def test_partitions_that_were_added_stop_the_worker_with_the_reason(
    kafka_settings: Settings, producer: Any
) -> None:
    from kafka import KafkaAdminClient

    soon = """
import stream.app
options = stream.app.faust_options
stream.app.faust_options = lambda *a: {**options(*a), "consumer_metadata_max_age_ms": 500}
"""
    raw = Topics(kafka_settings.kafka.topic_prefix).raw
    worker = running_worker.start(kafka_settings, before=soon)
    try:
        running_worker.wait_ready(kafka_settings, worker)
        admin = KafkaAdminClient(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
        admin.create_partitions({raw: 5})
        admin.close()
        wait_for(lambda: len(producer.partitions_for(raw)) == 5, "five partitions")
        producer.send(raw, b"in the new one", partition=4).get(10)
        assert worker.wait(timeout=60) == 1
    finally:
        worker.kill()
        worker.wait()
    assert "PartitionCountChanged" in running_worker.log_text(kafka_settings)


class GuardedKafka(KafkaProcess):
    """The embedded Kafka with an authorizer that lets everybody do what no rule forbids."""

    def _properties(self, data: str) -> str:
        return super()._properties(data) + (
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "allow.everyone.if.no.acl.found=true\n"
        )


def test_a_topic_that_may_not_be_read_or_written_is_one_clear_stop(tmp_path: Path) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

    own = Settings(data_dir=tmp_path / "kafka", kafka=KafkaSettings(heap_mb=256))
    with GuardedKafka(own) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        for name, operation in (("raw", ACLOperation.READ), ("clean", ACLOperation.WRITE)):
            settings = Settings(
                data_dir=tmp_path / name,
                kafka=KafkaSettings(
                    bootstrap_servers=broker.address,
                    topic_prefix=f"{name}-",
                    request_timeout_s=5,
                ),
            )
            ensure_topics(settings, [broker.address])
            topic = f"{name}-{name}"
            rule = ACL(
                principal="User:ANONYMOUS",
                host="*",
                operation=operation,
                permission_type=ACLPermissionType.DENY,
                resource_pattern=ResourcePattern(ResourceType.TOPIC, topic),
            )
            produce(settings, [Record(b"text")])
            admin.create_acls([rule])
            with running_worker.start(settings) as worker:
                try:
                    assert worker.wait(timeout=90) == 1, running_worker.log_text(settings)
                finally:
                    worker.kill()
            last = running_worker.log_text(settings)
            assert "TopicAuthorizationFailed" in last, last[-3000:]
            assert topic in last
        admin.close()


@pytest.mark.timeout(240)
def test_one_worker_then_three_then_two_give_every_record_one_verdict(
    kafka_settings: Settings, producer: Any, tmp_path: Path
) -> None:
    others = [elsewhere(kafka_settings, tmp_path / name) for name in ("two", "three")]
    start = functools.partial(running_worker.running, before=SHORT_SESSION)
    with (
        contextlib.closing(Readout(kafka_settings)) as readout,
        contextlib.ExitStack() as workers,
    ):
        first = workers.enter_context(start(kafka_settings))
        wanted = flood(kafka_settings, producer, 0, 2000)
        for other in others:
            workers.enter_context(start(other))
        wanted |= flood(kafka_settings, producer, 2000, 2000)
        first.send_signal(signal.SIGKILL)
        first.wait()
        wanted |= flood(kafka_settings, producer, 4000, 2000)
        readout.wait_for(wanted, timeout_s=60)
    check(readout, wanted)


@pytest.mark.timeout(240)
def test_a_zombie_that_wakes_gives_no_second_verdict(
    kafka_settings: Settings, producer: Any, tmp_path: Path
) -> None:
    """Stopped for longer than its session, with records in hand; another worker takes over."""
    other = elsewhere(kafka_settings, tmp_path / "other")
    slow = """
import asyncio, stream.writer
write = stream.writer.Writer.write
async def slowly(self, partition, records):
    await asyncio.sleep(0.2)
    return await write(self, partition, records)
stream.writer.Writer.write = slowly
"""
    with contextlib.closing(Readout(kafka_settings)) as readout:
        zombie = running_worker.start(kafka_settings, before=SHORT_SESSION + slow)
        try:
            running_worker.wait_ready(kafka_settings, zombie)
            wanted = flood(kafka_settings, producer, 0, 6000)
            wait_for(lambda: readout.poll() or len(readout.seen()) > 500, "some are written")
            zombie.send_signal(signal.SIGSTOP)
            with running_worker.running(other, before=SHORT_SESSION):
                readout.wait_for(wanted, timeout_s=60)
                zombie.send_signal(signal.SIGCONT)
                wanted |= flood(kafka_settings, producer, 6000, 2000)
                readout.wait_for(wanted, timeout_s=60)
                running_worker.stop(zombie)
                while any(readout._consumer.poll(timeout_ms=500)):
                    pass
        finally:
            zombie.send_signal(signal.SIGCONT)
            zombie.kill()
            zombie.wait()
    check(readout, wanted)
