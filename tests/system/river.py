"""What the tests of a whole system ask of it again and again."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from riverrun.client import Client
from riverrun.kafka import Topics, client_options
from riverrun.records import Rejection
from riverrun.settings import Settings
from riverrun.status import Observer, SystemStatus
from riverrun.store import Manifest, VersionStore
from riverrun.supervisor import System
from riverrun.trace import CleanTopic, TracedDocument, line_of
from riverrun.workspace import Workspace


def wait_until(condition: Callable[[], bool], what: str, within_s: float = 90) -> None:
    """Return once the condition holds; fail, saying what was waited for, when it does not."""
    assert comes_true(condition, within_s), f"{what}: not within {within_s:g} s"


def comes_true(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


class River:
    """A running system, seen from outside."""

    def __init__(self, settings: Settings, system: System) -> None:
        self.settings = settings
        self.system = system
        self.workspace = Workspace(settings.data_dir)
        self.store = VersionStore(self.workspace.store_url)

    def address(self, name: str) -> str:
        address = self.workspace.wait_ready(name, 60).address  # type: ignore[arg-type]
        assert address is not None
        return address

    def client(self) -> Client:
        return Client(self.address("serving"), timeout_s=60)

    def look(self) -> SystemStatus:
        with Observer(self.settings) as observer:
            return observer.look()

    def kill(self, name: str, *, until_ready: bool = True) -> None:
        """SIGKILL, and wait until another process is in its place, or up again too."""
        before = self.look().process(name).pid
        assert before is not None
        os.kill(before, signal.SIGKILL)

        def is_back() -> bool:
            now = self.look().process(name)
            return now.pid not in (None, before) and (now.state == "ready" or not until_ready)

        wait_until(is_back, f"{name} is up again", within_s=180)

    def is_at_rest(self) -> bool:
        """Every raw record is through the stream, learned (or held out), rehearsed, and served."""
        status = self.look()
        learner, serving = status.learner, status.serving
        if learner is None or serving is None or serving.version is None:
            return False
        if learner.due_documents or learner.step != serving.version.step:
            return False
        num_cleaned, num_rejected = len(self.cleaned()), len(self.rejected())
        num_raw = sum(self.end_offsets(self.topics.raw).values())
        if num_raw != num_cleaned + num_rejected:
            return False
        num_held_out = self.store.manifest(serving.version.id).num_held_out
        return serving.version.documents + num_held_out == num_cleaned

    @property
    def topics(self) -> Topics:
        return Topics(self.settings.kafka.topic_prefix)

    def end_offsets(self, topic: str) -> dict[int, int]:
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(**client_options(self.settings.kafka, [self.address("broker")]))
        try:
            partitions = consumer.partitions_for_topic(topic) or set()
            ends = consumer.end_offsets([TopicPartition(topic, p) for p in partitions])
            return {place.partition: end for place, end in ends.items()}
        finally:
            consumer.close()

    def _read(self, topic: str) -> list[tuple[int, dict[str, bytes], bytes]]:
        from kafka import KafkaConsumer, TopicPartition

        ends = self.end_offsets(topic)
        consumer = KafkaConsumer(**client_options(self.settings.kafka, [self.address("broker")]))
        try:
            places = [TopicPartition(topic, p) for p in ends]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            found: list[tuple[int, dict[str, bytes], bytes]] = []
            deadline = time.monotonic() + 60
            while any(consumer.position(place) < ends[place.partition] for place in places):
                assert time.monotonic() < deadline, f"{topic} could not be read to its end"
                for records in consumer.poll(timeout_ms=200).values():
                    found += [(r.partition, dict(r.headers), r.value) for r in records]
            return found
        finally:
            consumer.close()

    def cleaned(self) -> set[tuple[int, int]]:
        """Raw coordinates of every clean record."""
        records = self._read(self.topics.clean)
        return {(partition, int(headers["raw-offset"])) for partition, headers, _ in records}

    def rejected(self) -> dict[tuple[int, int], str]:
        """Raw coordinates of every dead letter, and its reason."""
        letters = [
            msgspec.json.decode(value, type=Rejection)
            for _, _, value in self._read(self.topics.dead_letter)
        ]
        return {(letter.partition, letter.offset): letter.reason for letter in letters}

    def learned(self) -> Counter[tuple[int, int]]:
        """How often each raw record was learned, by the line of the promoted version."""
        with CleanTopic(self.settings) as topic:
            return Counter(
                (found.partition, found.raw_offset)
                for manifest in self._line()
                for span in manifest.learned
                for found in topic.read(span, manifest.left_out)
                if isinstance(found, TracedDocument)
            )

    def held_out(self) -> set[tuple[int, int]]:
        """Raw coordinates of the documents that were kept apart, by the same line."""
        return {
            (span.partition, offset)
            for manifest in self._line()
            for span in manifest.learned
            for offset in span.held_out
        }

    def _line(self) -> list[Manifest]:
        version = self.store.promoted()
        assert version is not None
        return list(line_of(self.store, version, whole=True))


def riverrun(river: River, *arguments: str, stdin: bytes = b"") -> str:
    """What another terminal would see; fails when the command does."""
    done = subprocess.run(
        [sys.executable, "-m", "riverrun", *arguments, "--data-dir", str(river.settings.data_dir)],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
