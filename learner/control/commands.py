"""Commands out of the `control` topic, in order, without learning ever waiting for them.

A thread listens; what it has read waits in a queue that the loop looks into between two steps.
A record that is no command is passed over, with a line in the log.

Knows nothing of what commands do (`control.py`).
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from riverrun.commands import Command

POLL_MS = 500
PAUSE_S = 1.0
"""After an error, before Kafka is asked again."""
PARTITION = 0
"""The topic has this one."""

log = logging.getLogger(__name__)


class Received(NamedTuple):
    """command: None for what is none."""

    offset: int
    command: Command | None


class Commands:
    """See the module. consumer: makes a consumer in no group."""

    def __init__(
        self,
        topic: str,
        consumer: Callable[[], KafkaConsumer],
        next_offset: int | None,
        since_ms: int,
    ) -> None:
        """next_offset: where to read on; None: at the first record written at or after
        `since_ms`, ms since 1970."""
        self._topic = topic
        self._make = consumer
        self._next = next_offset
        self._since_ms = since_ms
        self.began_at: int | None = next_offset
        """The offset that reading began at, once it is known."""
        self._queue: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def next(self) -> Received | None:
        """The next one that has come; never waits."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    def close(self, timeout_s: float) -> None:
        self._ended.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                consumer = self._make()
                try:
                    self._listen(consumer)
                finally:
                    consumer.close(autocommit=False)
            except (KafkaError, OSError) as error:
                log.warning("%s cannot be read now, trying again: %r", self._topic, error)
                self._ended.wait(PAUSE_S)

    def _listen(self, consumer: KafkaConsumer) -> None:
        place = TopicPartition(self._topic, PARTITION)
        consumer.assign([place])
        first = consumer.beginning_offsets([place])[place]
        if self._next is None:
            found = consumer.offsets_for_times({place: self._since_ms})[place]
            end = consumer.end_offsets([place])[place]
            self._next = end if found is None else found.offset
        if self._next < first:
            log.error("%s: commands %d to %d have expired", self._topic, self._next, first - 1)
            self._next = first
        if self.began_at is None:
            self.began_at = self._next
        consumer.seek(place, self._next)
        while not self._ended.is_set():
            for record in consumer.poll(timeout_ms=POLL_MS).get(place, ()):
                self._queue.put(Received(record.offset, command_of(record.value, record.offset)))
                self._next = record.offset + 1


def command_of(value: bytes | None, offset: int) -> Command | None:
    """None for what is no command: anybody may write to a topic."""
    try:
        return msgspec.json.decode(value or b"", type=Command)
    except msgspec.DecodeError as error:
        log.warning("the record at offset %d of the control topic is no command: %s", offset, error)
        return None
