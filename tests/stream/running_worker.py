"""A real `riverrun stream` process, a producer for it, and what its topics hold."""

import contextlib
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from riverrun.kafka import Topics
from riverrun.records import RAW_OFFSET_HEADER, Rejection
from riverrun.settings import Settings
from riverrun.settings.load import save_settings
from riverrun.workspace import Workspace

CODE = """
import json, pathlib, sys
import stream.main
from riverrun.settings import Settings
{before}
stream.main.run(Settings.model_validate(json.loads(pathlib.Path(sys.argv[1]).read_text())))
"""

READY_TIMEOUT_S = 30.0


def start(settings: Settings, before: str = "") -> subprocess.Popen[bytes]:
    """Start a worker; `before` is code that it runs first. Its log is `stream.log`."""
    workspace = Workspace(settings.data_dir)
    save_settings(settings, workspace.settings_file)
    with log_path(settings).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", CODE.format(before=before), str(workspace.settings_file)],
            stdout=log,
            stderr=log,
        )


def log_path(settings: Settings) -> Path:
    return Workspace(settings.data_dir).log_file("stream")


def log_text(settings: Settings) -> str:
    return log_path(settings).read_text()


@contextlib.contextmanager
def running(settings: Settings, before: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A worker that has its partitions; stopped in the end, however the block ends."""
    process = start(settings, before)
    try:
        wait_ready(settings, process)
        yield process
    finally:
        stop(process)


def wait_ready(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    workspace = Workspace(settings.data_dir)
    while True:
        record = workspace.record("stream")
        if record is not None and record.pid == process.pid and record.state == "ready":
            return
        assert process.poll() is None, log_text(settings)
        assert time.monotonic() < deadline, log_text(settings)
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def make_producer(kafka: str, **options: Any) -> Iterator[Any]:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka, max_request_size=16_000_000, **options)
    yield producer
    producer.close()


@dataclass
class Clean:
    partition: int
    raw_offset: int
    record: Any


class Readout:
    """Everything in `clean` and `dead-letter`, read on as it comes."""

    def __init__(self, settings: Settings) -> None:
        from kafka import KafkaConsumer, TopicPartition

        self.topics = Topics(settings.kafka.topic_prefix)
        self.clean: list[Clean] = []
        self.letters: list[tuple[bytes | None, Rejection]] = []
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.bootstrap_servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        partitions = [TopicPartition(self.topics.clean, p) for p in range(4)]
        self._consumer.assign([*partitions, TopicPartition(self.topics.dead_letter, 0)])
        self._consumer.seek_to_beginning()

    def poll(self) -> None:
        for tp, records in self._consumer.poll(timeout_ms=50).items():
            for record in records:
                if tp.topic == self.topics.clean:
                    headers = dict(record.headers)
                    self.clean.append(Clean(tp.partition, int(headers[RAW_OFFSET_HEADER]), record))
                else:
                    letter = msgspec.json.decode(record.value, type=Rejection)
                    self.letters.append((record.key, letter))

    def seen(self) -> set[tuple[int, int]]:
        """Raw partition and offset of all that was written."""
        clean = {(record.partition, record.raw_offset) for record in self.clean}
        return clean | {(letter.partition, letter.offset) for _, letter in self.letters}

    def wait_for(self, wanted: set[tuple[int, int]], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while missing := wanted - self.seen():
            assert time.monotonic() < deadline, f"{len(missing)} missing: {sorted(missing)[:10]}"
            self.poll()

    def first_occurrences(self) -> dict[int, list[int]]:
        """Per partition the raw offsets in `clean`, each where it was written first."""
        firsts: dict[int, dict[int, None]] = defaultdict(dict)
        for record in self.clean:
            firsts[record.partition].setdefault(record.raw_offset)
        return {partition: list(offsets) for partition, offsets in firsts.items()}

    def close(self) -> None:
        self._consumer.close()
