"""The end of a clean partition, for the memory of duplicates of whoever takes the partition over.

`clean` is the truth that all workers share: it says which documents were let through, with their
raw offsets. Read backwards in pieces, until as much is found as the memory compares with. A
consumer of its own, outside the group. Called by `Verdicts`, when a partition comes to this worker.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from riverrun.errors import BrokerError
from riverrun.records import RAW_OFFSET_HEADER, RAW_TIMESTAMP_HEADER, Document
from riverrun.settings import KafkaSettings
from stream.broker import lone_consumer
from stream.duplicates import SPAN_OFFSETS, cost
from stream.stages.fingerprint import Fingerprint

PIECE_RECORDS = 4096
BREATH_S = 0.05


@dataclass(frozen=True, slots=True)
class Passed:
    """A document that was let through: its raw offset, Kafka's time of the raw record, its mark."""

    offset: int
    timestamp_ms: int
    fingerprint: Fingerprint


class CleanTail:
    """Connects at the first question."""

    def __init__(
        self,
        kafka: KafkaSettings,
        servers: list[str],
        topic: str,
        fingerprint_of: Callable[[Document], Fingerprint | None],
    ) -> None:
        self._kafka = kafka
        self._servers = servers
        self._topic = topic
        self._fingerprint_of = fingerprint_of
        self._consumer: Any = None

    async def read(
        self, partition: int, before: int, enough_bytes: int, window_ms: float
    ) -> list[Passed]:
        """The newest documents with raw offsets below `before`, oldest first.

        As many as take `enough_bytes` in the memory, unless they are `window_ms` older than the
        newest, or `SPAN_OFFSETS` away. Raises BrokerError when Kafka does not give them.
        """
        try:
            return await self._read(partition, before, enough_bytes, window_ms)
        except KafkaError as error:
            raise BrokerError(
                f"{self._topic}/{partition} cannot be read for the memory of duplicates: {error!r}"
            ) from error

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _read(
        self, partition: int, before: int, enough_bytes: int, window_ms: float
    ) -> list[Passed]:
        consumer = await self._connected()
        tp = TopicPartition(self._topic, partition)
        consumer.assign([tp])
        begin = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        newest = Newest(before)
        while end > begin:
            start = max(begin, end - PIECE_RECORDS)
            piece, lowest = await self._piece(tp, start, end)
            newest.put_before(piece)
            end = start
            if lowest is not None and lowest < before - SPAN_OFFSETS:
                break
            if newest.num_bytes >= enough_bytes or newest.span_ms > window_ms:
                break
        return list(newest.kept)

    async def _piece(
        self, tp: TopicPartition, start: int, end: int
    ) -> tuple[list[Passed], int | None]:
        """What clean offsets `start` to `end` hold, without texts that no profile compares; and the
        lowest raw offset among all of them."""
        consumer = self._consumer
        consumer.seek(tp, start)
        found: list[Passed] = []
        lowest: int | None = None
        deadline = time.monotonic() + self._kafka.request_timeout_s
        while await consumer.position(tp) < end:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"Kafka has not given {tp.topic}/{tp.partition} from offset {start} within "
                    f"{self._kafka.request_timeout_s:g} s"
                )
            breath = time.monotonic()
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, []):
                deadline = time.monotonic() + self._kafka.request_timeout_s
                raw_offset = _raw_offset(record) if record.offset < end else None
                if raw_offset is not None:
                    lowest = raw_offset if lowest is None else min(lowest, raw_offset)
                    passed = self._passed(record, raw_offset)
                    if passed is not None:
                        found.append(passed)
                if time.monotonic() - breath > BREATH_S:
                    await asyncio.sleep(0)
                    breath = time.monotonic()
        return found, lowest

    def _passed(self, record: Any, offset: int) -> Passed | None:
        try:
            timestamp_ms = int(dict(record.headers)[RAW_TIMESTAMP_HEADER])
            document = msgspec.json.decode(record.value or b"", type=Document)
        except (KeyError, ValueError, msgspec.DecodeError):
            return None  # not ours; the learner counts it
        fingerprint = self._fingerprint_of(document)
        return None if fingerprint is None else Passed(offset, timestamp_ms, fingerprint)

    async def _connected(self) -> Any:
        if self._consumer is None:
            consumer = lone_consumer(self._kafka, self._servers)
            await consumer.start()
            self._consumer = consumer
        return self._consumer


def _raw_offset(record: Any) -> int | None:
    """None for a record that is not ours."""
    try:
        return int(dict(record.headers)[RAW_OFFSET_HEADER])
    except (KeyError, ValueError):
        return None


class Newest:
    """The end of the log as it grows backwards, without what a crash wrote twice: of each raw
    offset the first appearance, as the learner takes it.

    kept: oldest first, offsets rise. num_bytes: what it takes in the memory of duplicates. span_ms:
    from the oldest record that was put to the newest below `before`.
    """

    def __init__(self, before: int) -> None:
        self.kept: deque[Passed] = deque()
        self.num_bytes = 0
        self.span_ms = 0.0
        self._before = before
        self._newest_ms = -math.inf

    def put_before(self, piece: list[Passed]) -> None:
        """What lies before all that was put so far. Each record costs its own time once: a later
        one that this piece already holds goes, and nothing else is looked at."""
        firsts: list[Passed] = []
        for one in piece:
            if one.offset < self._before and (not firsts or one.offset > firsts[-1].offset):
                firsts.append(one)
        if not firsts:
            return
        while self.kept and self.kept[0].offset <= firsts[-1].offset:
            self.num_bytes -= _cost(self.kept.popleft())
        self.kept.extendleft(reversed(firsts))
        self.num_bytes += sum(map(_cost, firsts))
        self._newest_ms = max(self._newest_ms, *(one.timestamp_ms for one in firsts))
        self.span_ms = self._newest_ms - piece[0].timestamp_ms


def _cost(passed: Passed) -> int:
    return cost((1, *passed.fingerprint.bands))
