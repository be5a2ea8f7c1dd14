"""Writes dead letters, and counts them by reason.

Knows nothing of why a record was rejected, nor of what its topic is for. Called by the worker, for
`raw`, and by `FeedbackCheck`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from prometheus_client import Counter

from riverrun.records import Rejection, encode
from stream.raw_record import RawRecord
from stream.writer import Outgoing, Writer

MAX_KEY_BYTES = 1024
"""Of a key that is longer the dead letter keeps the beginning: it must not be too large itself."""

Rejected = tuple[RawRecord, Rejection]


class LetterWriter:
    """counter: of what is written, with the label `reason`."""

    def __init__(self, writer: Writer, counter: Counter) -> None:
        self._writer = writer
        self._counter = counter

    async def write(self, rejections: Mapping[int, Sequence[Rejected]]) -> None:
        """The letters of each partition of the records' topic, in order.

        Raises BrokerError when Kafka does not acknowledge.
        """
        if not rejections:
            return
        num_partitions = await self._writer.num_partitions()
        by_target: dict[int, list[Rejected]] = defaultdict(list)
        for partition, rejected in rejections.items():
            by_target[partition % num_partitions] += rejected
        for partition, rejected in by_target.items():
            outgoing = [
                Outgoing(key=record.key and record.key[:MAX_KEY_BYTES], value=encode(letter))
                for record, letter in rejected
            ]
            refused = await self._writer.write(partition, outgoing)
            assert not refused, "a dead letter is a few kilobytes"
            for _, letter in rejected:
                self._counter.labels(letter.reason).inc()
