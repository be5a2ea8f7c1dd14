"""faust's Kafka transport, reading only what was committed.

A producer may write raw text in transactions and abort one; faust reads aborted records too, unless
it runs in transactions itself. aiokafka can leave them out, which faust has no setting for.
Used by the app.
"""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

ISOLATION_LEVEL = "read_committed"


class CommittedConsumerThread(AIOKafkaConsumerThread):
    """Makes the aiokafka consumer; its fetcher takes the isolation level when it starts."""

    def _create_worker_consumer(self, transport: Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        assert consumer._isolation_level == "read_uncommitted", "faust's own default"
        consumer._isolation_level = ISOLATION_LEVEL
        return consumer


class CommittedConsumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return CommittedConsumerThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(Transport):
    Consumer = CommittedConsumer
