"""faust's Kafka transport, reading only what was committed, and committing with a note.

A producer may write raw text in transactions and abort one; faust reads aborted records too, unless
it runs in transactions itself. aiokafka can leave them out, which faust has no setting for.
Beside each offset that faust commits goes what the worker noted for it (`OffsetNotes`), in the same
request. Used by the app.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from stream.broker import ISOLATION_LEVEL


class CommittedConsumerThread(AIOKafkaConsumerThread):
    """Makes the aiokafka consumer; its fetcher takes the isolation level when it starts."""

    def _create_worker_consumer(self, transport: Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        assert consumer._isolation_level == "read_uncommitted", "faust's own default"
        consumer._isolation_level = ISOLATION_LEVEL
        commit = consumer.commit
        app: Any = transport.app  # the StreamApp, which imports this file
        notes = app.notes

        async def commit_with_notes(offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
            await commit(
                {
                    tp: OffsetAndMetadata(at.offset, notes.committed(tp.partition, at.offset))
                    for tp, at in offsets.items()
                }
            )

        consumer.commit = commit_with_notes
        return consumer


class CommittedConsumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return CommittedConsumerThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(Transport):
    Consumer = CommittedConsumer
