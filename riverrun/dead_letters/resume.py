"""A source's pause ended by a mark in the raw log, which the stream's workers read in its place.

What the pause held back are dead letters, and are sent back from there. Called by
`riverrun dead-letters resume`.
"""

from riverrun.dead_letters.connection import Connection
from riverrun.records import RESUME_HEADER
from riverrun.settings import Settings

MARK_KEY = b"riverrun"
"""Of marks, since kafka-python sends nothing that has neither key nor value."""


def resume(settings: Settings, source: str) -> dict[int, int]:
    """End the pause of `source` (`*`: of all) by a mark in each raw partition; where it is.

    Raises BrokerError when Kafka does not take them.
    """
    connection = Connection(settings)
    raw = connection.topics.raw
    header = [(RESUME_HEADER, source.encode())]
    producer = connection.producer()
    try:
        with connection.answering():
            futures = [
                producer.send(raw, None, key=MARK_KEY, partition=partition, headers=header)
                for partition in sorted(producer.partitions_for(raw))
            ]
            marks = [future.get(connection.timeout_s) for future in futures]
    finally:
        producer.close(timeout=5)
    return {mark.partition: mark.offset for mark in marks}
