"""The note that Kafka keeps beside a partition's committed offset (`OffsetNotes` put it there).

Called by `Verdicts`, when a partition comes to this worker.
"""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from riverrun.errors import BrokerError
from riverrun.settings import KafkaSettings
from stream.broker import client_options


async def stored_note(
    kafka: KafkaSettings, servers: list[str], group: str, topic: str, partition: int
) -> str:
    """The note of the group's committed offset; empty when nothing was committed.

    Raises BrokerError when Kafka does not tell.
    """
    tp = TopicPartition(topic, partition)
    timeout_ms = int(kafka.request_timeout_s * 1000)
    admin = AIOKafkaAdminClient(**client_options(kafka, servers), request_timeout_ms=timeout_ms)
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group, partitions=[tp])
    except KafkaError as error:
        raise BrokerError(
            f"Kafka does not tell what {group} has committed of {topic}/{partition}: {error!r}"
        ) from error
    finally:
        await admin.close()
    return found[tp].metadata or "" if tp in found else ""
