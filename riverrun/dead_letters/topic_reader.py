"""A topic read once: all of it up to now, or the record of exactly one offset.

Knows nothing of what records mean. Called by `letters.py`.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from riverrun.dead_letters.connection import Connection
from riverrun.errors import BrokerError, InvalidValue

POLL_MS = 200
READ_ON_OFFSETS = 500
"""So near ahead it is quicker to read on than to seek."""


class TopicReader:
    """See the module. Raises BrokerError when Kafka does not answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._consumer = connection.consumer()
        self._buffer: deque[Any] = deque()

    def close(self) -> None:
        self._consumer.close()

    def everything(self, topic: str) -> Iterator[Any]:
        """The records of a topic up to its end now."""
        from kafka import TopicPartition

        with self._connection.answering():
            partitions = self._consumer.partitions_for_topic(topic) or ()
            places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
            self._consumer.assign(places)
            self._buffer.clear()
            if not places:
                return
            ends = self._consumer.end_offsets(places)
            self._consumer.seek_to_beginning(*places)
            deadline = self._deadline()
            while any(self._consumer.position(tp) < end for tp, end in ends.items()):
                polled = self._consumer.poll(timeout_ms=POLL_MS)
                if polled:
                    deadline = self._deadline()
                elif time.monotonic() > deadline:
                    raise BrokerError(f"Kafka does not give {topic} up to its end")
                for tp, records in polled.items():
                    yield from (record for record in records if record.offset < ends[tp])

    def record(self, topic: str, partition: int, offset: int) -> Any:
        """The record of exactly this offset; None when the topic does not hold it any more.

        Raises InvalidValue for a partition or an offset that it never had.
        """
        from kafka import TopicPartition

        tp = TopicPartition(topic, partition)
        if partition not in (self._consumer.partitions_for_topic(topic) or ()):
            allowed = f"a partition of `{topic}`"
            raise InvalidValue("PARTITION:OFFSET", f"{partition}:{offset}", allowed)
        if self._consumer.assignment() != {tp}:
            self._consumer.assign([tp])
            self._buffer.clear()
        begin = self._consumer.beginning_offsets([tp])[tp]
        end = self._consumer.end_offsets([tp])[tp]
        if not 0 <= offset < end:
            raise InvalidValue(
                "PARTITION:OFFSET", f"{partition}:{offset}", f"an offset of 0 to {end - 1} there"
            )
        return None if offset < begin else self._record_at(tp, offset, end)

    def _record_at(self, tp: Any, offset: int, end: int) -> Any:
        """None when there is none (compacted, aborted)."""
        following = self._buffer[0].offset if self._buffer else self._consumer.position(tp)
        if not following <= offset < following + READ_ON_OFFSETS:
            self._buffer.clear()
            self._consumer.seek(tp, offset)
        deadline = self._deadline()
        while True:
            while self._buffer:
                if self._buffer[0].offset > offset:
                    return None
                record = self._buffer.popleft()
                if record.offset == offset:
                    return record
            if self._consumer.position(tp) > offset or self._consumer.position(tp) >= end:
                return None
            self._buffer.extend(self._consumer.poll(timeout_ms=POLL_MS).get(tp, []))
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka does not give {tp.topic} {tp.partition}:{offset}")

    def _deadline(self) -> float:
        return time.monotonic() + self._connection.timeout_s
