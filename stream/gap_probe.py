"""Asks Kafka itself which record comes at or after an offset, and where a partition ends.

Offsets may have gaps (transactions, compaction, expired text), and faust's commits jump over them
(faust-streaming #606). A gap that Kafka knows nothing of is text that was lost on the way to us.
This is a consumer of its own, outside the group. Called by `RawOrder`, rarely, and by `LagWatch`.
"""

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from riverrun.errors import BrokerError
from riverrun.settings import KafkaSettings
from stream.broker import lone_consumer

FETCH_BYTES = 65_536
"""One record is enough; a larger one still comes, alone."""

NOTHING_S = 1.0
"""Kafka is silent this long: there is nothing from that offset on."""


class GapProbe:
    """Connects at the first question; one question at a time."""

    def __init__(self, kafka: KafkaSettings, servers: list[str], topic: str) -> None:
        self._kafka = kafka
        self._servers = servers
        self._topic = topic
        self._consumer: Any = None
        self._asking = asyncio.Lock()

    async def first_offset(self, partition: int, offset: int) -> int:
        """The first offset that is there, from `offset` on; the partition must have one.

        Raises BrokerError when Kafka does not tell in time.
        """
        timeout_s = self._kafka.request_timeout_s
        async with self._asking:
            record = await self._first(partition, offset, timeout_s)
        if record is None:
            raise BrokerError(
                f"Kafka has not said within {timeout_s:g} s what follows offset {offset} of "
                f"{self._topic}/{partition}"
            )
        found: int = record.offset
        return found

    async def first_timestamp_ms(self, partition: int, offset: int) -> int | None:
        """Kafka's time of the first record from `offset` on; None when there is none."""
        async with self._asking:
            record = await self._first(partition, offset, NOTHING_S)
        return None if record is None else record.timestamp

    async def end_offsets(self, partitions: list[int]) -> dict[int, int]:
        """Where each partition ends, open transactions left out. Raises BrokerError."""
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        async with self._asking:
            consumer = await self._connected()
            try:
                ends = await consumer.end_offsets(wanted) if wanted else {}
            except KafkaError as error:
                raise BrokerError(
                    f"Kafka does not tell where {self._topic} ends: {error!r}"
                ) from error
        return {tp.partition: end for tp, end in ends.items()}

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _first(self, partition: int, offset: int, timeout_s: float) -> Any:
        consumer = await self._connected()
        tp = TopicPartition(self._topic, partition)
        consumer.assign([tp])
        consumer.seek(tp, offset)
        try:
            return await asyncio.wait_for(consumer.getone(tp), timeout_s)
        except TimeoutError:
            return None
        except KafkaError as error:
            raise BrokerError(f"{self._topic}/{partition} cannot be read: {error!r}") from error

    async def _connected(self) -> Any:
        if self._consumer is None:
            consumer = lone_consumer(
                self._kafka, self._servers, max_partition_fetch_bytes=FETCH_BYTES
            )
            try:
                await consumer.start()
            except KafkaError as error:
                raise BrokerError(f"Kafka does not answer the probe: {error!r}") from error
            self._consumer = consumer
        return self._consumer
