"""Writes records to one partition, in order, and returns when Kafka has them all.

faust's `send` gives each record to aiokafka, which cuts them into batches and goes on with the next
when one of them fails: then a later document would lie in `clean` before an earlier one. So we
build the batches, which Kafka takes whole or not at all, and send one only when the one before is
acknowledged. aiokafka holds a partition back while a batch of it is in flight or tried again
(`Sender._muted_partitions`), so that a retry cannot overtake either.

Knows nothing of documents and rejections. Called by the worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from riverrun.errors import BrokerError


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Writer:
    """`producer` is aiokafka's, with acks from all replicas."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def write(self, partition: int, records: Sequence[Outgoing]) -> list[int]:
        """Write the records in order; the indices of those that Kafka finds too large.

        Raises BrokerError when Kafka does not acknowledge; then nothing later was written.
        """
        refused: list[int] = []
        start = 0
        while start < len(records):
            batch = self._producer.create_batch()
            end = start
            while end < len(records) and self._append(batch, records[end]):
                end += 1
            assert end > start, "a batch takes its first record whatever its size"
            batch.close()
            if not await self._send(batch, partition):
                refused += await self._write_singly(partition, records, start, end)
            start = end
        return refused

    async def num_partitions(self) -> int:
        return len(await self._producer.partitions_for(self._topic))

    def _append(self, batch: Any, record: Outgoing) -> bool:
        added = batch.append(
            timestamp=None, key=record.key, value=record.value, headers=record.headers
        )
        return added is not None

    async def _send(self, batch: Any, partition: int) -> bool:
        """False when Kafka refuses the batch for its size."""
        try:
            await (await self._producer.send_batch(batch, self._topic, partition=partition))
        except MessageSizeTooLargeError:
            return False
        except KafkaError as error:
            raise BrokerError(
                f"Kafka does not acknowledge writes to {self._topic}/{partition}: {error!r}"
            ) from error
        return True

    async def _write_singly(
        self, partition: int, records: Sequence[Outgoing], start: int, end: int
    ) -> list[int]:
        """One record a batch, to find the one that is too large; Kafka took none of them yet."""
        refused = []
        for index in range(start, end):
            batch = self._producer.create_batch()
            self._append(batch, records[index])
            batch.close()
            if not await self._send(batch, partition):
                refused.append(index)
        return refused
