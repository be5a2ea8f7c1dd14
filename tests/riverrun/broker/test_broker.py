"""The process `riverrun broker`, as a user and a supervisor meet it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from riverrun.broker.kafka_process import KafkaProcess
from riverrun.broker.orphans import find_kafka
from riverrun.errors import BrokerError
from riverrun.settings import KafkaSettings, Settings
from riverrun.workspace import ProcessRecord, Workspace, free_port

START_S = 90.0
STOP_S = 60.0


@contextmanager
def broker(data_dir: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], ProcessRecord]]:
    """`riverrun broker`, ready; ended kindly when the block ends, if it still lives."""
    command = [sys.executable, "-m", "riverrun", "broker", "--data-dir", str(data_dir)]
    wrapper = subprocess.Popen(
        [*command, "--set", "kafka.heap_mb=256", *options], stderr=subprocess.PIPE, text=True
    )
    try:
        workspace = Workspace(data_dir)
        deadline = time.monotonic() + START_S
        while (record := workspace.running("broker")) is None or record.state != "ready":
            assert wrapper.poll() is None, wrapper.communicate()[1]
            assert time.monotonic() < deadline, "the broker was not ready in time"
            time.sleep(0.05)
        yield wrapper, record
    finally:
        wrapper.terminate()
        wrapper.communicate(timeout=STOP_S)


def java(data_dir: Path) -> psutil.Process:
    (found,) = find_kafka(data_dir.absolute() / "broker")
    return found


def wait_gone(process: psutil.Process) -> None:
    gone, _ = psutil.wait_procs([process], timeout=STOP_S)
    assert gone, f"process {process.pid} did not end"


def produce(address: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=address)
    sent = [producer.send("raw", value, partition=0) for value in values]
    producer.flush(timeout=30)
    assert all(future.succeeded() for future in sent)
    producer.close()


def consume(address: str) -> list[bytes]:
    """All that partition 0 of `raw` holds."""
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=None)
    partition = TopicPartition("raw", 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    values: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(values) < end and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            values += [record.value for record in records]
    consumer.close()
    return values


def test_every_record_survives_the_death_of_java_then_of_the_wrapper_then_a_restart(
    tmp_path: Path,
) -> None:
    values = [f"record {i}".encode() for i in range(2000)]

    with broker(tmp_path) as (wrapper, record):
        address = record.address
        assert address is not None
        produce(address, values[:1000])
        java(tmp_path).kill()
        _, said = wrapper.communicate(timeout=STOP_S)
    assert wrapper.returncode == 1, said
    assert "Kafka died (signal 9)" in said
    assert "kafka.log" in said
    assert "Kafka Server started" in said, "its log's last lines"
    assert Workspace(tmp_path).record("broker") is None, "a dead broker announces nothing"

    with broker(tmp_path) as (wrapper, record):
        assert record.address == address, "clients find a restarted broker where it was"
        produce(address, values[1000:])
        orphan = java(tmp_path)
        wrapper.kill()
        wrapper.wait()
        if sys.platform == "linux":
            wait_gone(orphan)

    with broker(tmp_path) as (wrapper, record):
        assert record.address == address
        assert consume(address) == values
        kafka = java(tmp_path)
    assert wrapper.returncode == 0, "SIGTERM is an orderly end"
    assert not kafka.is_running()


def test_kafka_that_outlived_its_wrapper_is_ended_by_the_next_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(heap_mb=256))
    with KafkaProcess(settings) as first:
        (orphan,) = find_kafka(first.home)
        with KafkaProcess(settings) as second:
            assert not orphan.is_running()
            assert find_kafka(second.home)[0].pid != orphan.pid
            assert second.address == first.address


def test_two_brokers_in_two_directories_share_nothing(kafka: str, tmp_path: Path) -> None:
    with broker(tmp_path, "--set", "kafka.num_partitions=1") as (_, record):
        assert record.address is not None
        assert record.address != kafka
        produce(record.address, [b"mine"])
        other = KafkaConsumer(bootstrap_servers=kafka, group_id=None)
        assert "raw" not in other.topics()
        other.close()

        wait_for_metric(record, 'riverrun_broker_end_offset{partition="0",topic="raw"} 1.0')
        wait_for_metric(record, "riverrun_broker_up 1.0")

        listening = {
            connection.laddr.ip
            for connection in java(tmp_path).net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}

    # The count of the settings is held against the topics that are there.
    refused = refuse(tmp_path, "--set", "kafka.num_partitions=2")
    assert "`raw` has 1 partitions, and kafka.num_partitions is 2" in refused
    assert find_kafka(tmp_path / "broker") == []


def wait_for_metric(record: ProcessRecord, line: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{record.metrics_port}/metrics") as reply:
            text = reply.read().decode()
        if line in text.splitlines():
            return
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


def refuse(data_dir: Path, *options: str) -> str:
    """What `riverrun broker` says when it ends with exit code 1."""
    command = [sys.executable, "-m", "riverrun", "broker", "--data-dir", str(data_dir), *options]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=START_S, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refuse(tmp_path, "--set", f"kafka.port={port}")
    assert f"port {port} (kafka.port) is taken" in said


def test_an_asked_port_is_listened_on(tmp_path: Path) -> None:
    port = free_port()
    with KafkaProcess(
        Settings(data_dir=tmp_path, kafka=KafkaSettings(heap_mb=256, port=port))
    ) as kafka:
        assert kafka.address == f"127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_corrupt_data_directory_is_explained_and_left_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "broker" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_bytes(b"\x00\xffgarbage\n")
    (data / "raw-0").mkdir()
    (data / "raw-0" / "00000000000000000000.log").write_bytes(b"text")

    said = refuse(tmp_path)

    assert "Kafka died (exit code 1)" in said
    assert str(tmp_path / "logs" / "kafka.log") in said
    assert f"{data} is left as it is" in said
    assert "node ID not found" in said, "Kafka's own words"
    assert (data / "meta.properties").read_bytes() == b"\x00\xffgarbage\n"
    assert (data / "raw-0" / "00000000000000000000.log").read_bytes() == b"text"


def test_data_without_meta_properties_is_not_formatted_over(tmp_path: Path) -> None:
    data = tmp_path / "broker" / "data"
    (data / "raw-0").mkdir(parents=True)
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(heap_mb=256))
    with (
        pytest.raises(BrokerError, match=r"meta\.properties is missing"),
        KafkaProcess(settings),
    ):
        pass
    assert [path.name for path in data.iterdir()] == ["raw-0"]


def test_a_path_with_commas_colons_and_letters_of_any_language_will_do(tmp_path: Path) -> None:
    place = tmp_path / "über, dies: 流れ"
    with KafkaProcess(Settings(data_dir=place, kafka=KafkaSettings(heap_mb=256))) as kafka:
        assert (place / "broker" / "data" / "meta.properties").exists()
        assert kafka.resident_bytes() > 50_000_000


def test_kafka_killed_while_starting_is_an_error_not_a_wait(tmp_path: Path) -> None:
    class Doomed(KafkaProcess):
        def _wait_listening(self) -> None:
            os.kill(self.pid, signal.SIGKILL)
            super()._wait_listening()

    began = time.monotonic()
    with (
        pytest.raises(BrokerError, match=r"Kafka died \(signal 9\)"),
        Doomed(Settings(data_dir=tmp_path, kafka=KafkaSettings(heap_mb=256))),
    ):
        pass
    assert time.monotonic() - began < 45


def test_what_kcat_produces_is_there(kafka: str, kafka_settings: Settings) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not installed (apt-get install kcat)")
    topic = f"{kafka_settings.kafka.topic_prefix}raw"
    produced = subprocess.run(
        [kcat, "-q", "-P", "-b", kafka, "-t", topic, "-p", "2"], input=b"from C\nto Java\n"
    )
    assert produced.returncode == 0
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=None)
    end = consumer.end_offsets([TopicPartition(topic, 2)])
    consumer.close()
    assert end == {TopicPartition(topic, 2): 2}
