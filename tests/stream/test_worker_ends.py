"""However a worker ends, nothing is lost, and the log says why: against a real Kafka."""

import contextlib
import signal
import time
from pathlib import Path
from typing import Any

from riverrun.kafka import Topics
from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import free_port
from tests.stream import running_worker
from tests.stream.running_worker import Readout


def produce(settings: Settings, producer: Any, num_records: int) -> set[tuple[int, int]]:
    """Records in all partitions, one in fifty of them empty; their coordinates."""
    raw = Topics(settings.kafka.topic_prefix).raw
    futures = [
        producer.send(raw, b"" if i % 50 == 7 else b"record %d " % i * 40, partition=i % 4)
        for i in range(num_records)
    ]
    producer.flush()
    return {(f.get(10).partition, f.get(10).offset) for f in futures}


def test_after_sigkill_every_record_is_written_and_none_before_an_earlier_one(
    kafka_settings: Settings, producer: Any
) -> None:
    wanted = produce(kafka_settings, producer, 6000)
    with contextlib.closing(Readout(kafka_settings)) as readout:
        for at_least in (500, 3000):
            worker = running_worker.start(kafka_settings)
            try:
                deadline = time.monotonic() + 60
                while len(readout.seen()) < at_least:
                    assert time.monotonic() < deadline, running_worker.log_text(kafka_settings)
                    readout.poll()
            finally:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
        with running_worker.running(kafka_settings):
            readout.wait_for(wanted, timeout_s=60)
            assert readout.seen() == wanted
            for partition, offsets in readout.first_occurrences().items():
                assert offsets == sorted(offsets), f"partition {partition} has a gap"


def test_a_worker_that_was_asked_to_stop_has_committed_what_it_wrote(
    kafka_settings: Settings, producer: Any
) -> None:
    from kafka import KafkaAdminClient

    wanted = produce(kafka_settings, producer, 400)
    with (
        contextlib.closing(Readout(kafka_settings)) as readout,
        running_worker.running(kafka_settings) as worker,
    ):
        readout.wait_for(wanted)
        assert running_worker.stop(worker) == 0
    admin = KafkaAdminClient(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    prefix = kafka_settings.kafka.topic_prefix
    committed = admin.list_group_offsets([f"{prefix}riverrun-stream"])
    admin.close()
    offsets = {tp.partition: o.offset for tp, o in committed[f"{prefix}riverrun-stream"].items()}
    assert offsets == dict.fromkeys(range(4), 100)


def test_a_failed_write_ends_the_process_with_the_reason_and_commits_nothing(
    kafka_settings: Settings, producer: Any
) -> None:
    wanted = produce(kafka_settings, producer, 8)
    failing = """
from riverrun.errors import BrokerError
import stream.writer
async def refuse(*_):
    raise BrokerError("the disk of the broker is full")
stream.writer.Writer.write = refuse
"""
    with running_worker.start(kafka_settings, before=failing) as worker:
        assert worker.wait(timeout=60) == 1
    assert "BrokerError: the disk of the broker is full" in running_worker.log_text(kafka_settings)
    with (
        contextlib.closing(Readout(kafka_settings)) as readout,
        running_worker.running(kafka_settings),
    ):
        readout.wait_for(wanted)


def test_no_kafka_at_the_address_is_one_clear_error_within_the_request_timeout(
    tmp_path: Path,
) -> None:
    address = f"127.0.0.1:{free_port()}"
    kafka = KafkaSettings(bootstrap_servers=address, request_timeout_s=1)
    settings = Settings(data_dir=tmp_path, kafka=kafka)
    with running_worker.start(settings) as worker:
        assert worker.wait(timeout=30) == 1
    assert f"BrokerError: Kafka at {address}" in running_worker.log_text(settings)


def test_two_workers_share_the_partitions_and_lose_nothing_when_one_leaves(
    kafka_settings: Settings, producer: Any, tmp_path: Path
) -> None:
    other = kafka_settings.model_copy(update={"data_dir": tmp_path / "other"})
    with (
        contextlib.closing(Readout(kafka_settings)) as readout,
        running_worker.running(kafka_settings) as worker,
    ):
        wanted = produce(kafka_settings, producer, 1000)
        with running_worker.running(other):
            wanted |= produce(kafka_settings, producer, 1000)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            wanted |= produce(kafka_settings, producer, 1000)
            readout.wait_for(wanted, timeout_s=60)
    assert readout.seen() == wanted
    for partition, offsets in readout.first_occurrences().items():
        assert offsets == sorted(offsets), f"partition {partition} has a gap"
