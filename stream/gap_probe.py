"""Asks Kafka itself which record comes at or after an offset.

Offsets may have gaps (transactions, compaction, expired text), and faust's commits jump over them
(faust-streaming #606). A gap that Kafka knows nothing of is text that was lost on the way to us.
This is a consumer of its own, outside the group. Called by `RawOrder`, rarely.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from riverrun.errors import BrokerError
from riverrun.settings import KafkaSettings
from stream.broker import client_options
from stream.committed_transport import ISOLATION_LEVEL


class GapProbe:
    """Connects at the first question."""

    def __init__(self, kafka: KafkaSettings, servers: list[str], topic: str) -> None:
        self._kafka = kafka
        self._servers = servers
        self._topic = topic
        self._consumer: Any = None

    async def first_offset(self, partition: int, offset: int) -> int:
        """The first offset that is there, from `offset` on; the partition must have one.

        Raises BrokerError when Kafka does not tell in time.
        """
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._kafka, self._servers),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level=ISOLATION_LEVEL,
            )
            await consumer.start()
            self._consumer = consumer
        tp = TopicPartition(self._topic, partition)
        self._consumer.assign([tp])
        self._consumer.seek(tp, offset)
        timeout_s = self._kafka.request_timeout_s
        try:
            record = await asyncio.wait_for(self._consumer.getone(tp), timeout_s)
        except TimeoutError:
            raise BrokerError(
                f"Kafka has not said within {timeout_s:g} s what follows offset {offset} of "
                f"{self._topic}/{partition}"
            ) from None
        found: int = record.offset
        return found

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None
