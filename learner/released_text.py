"""Text that was in quarantine, read again once its source is released.

A consumer of its own, made when there is something to read: the place in the stream that the intake
has come to must not move. A stretch may lie over a million records of other sources, so it is read
a little at a time and learning goes on meanwhile.

Knows nothing of steps. Called by `loop.py`.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from learner.arrival import Arrival
from learner.content import Content, content_of
from learner.intake import arrival_of
from learner.left_out import StandingLeftOut
from learner.quarantine import Quarantine, Stretch

POLL_MS = 20

log = logging.getLogger(__name__)


class Portion(NamedTuple):
    """A step's worth of a stretch, or its end: no documents, and nothing more to come."""

    source: str
    partition: int
    arrivals: list[Arrival]


class ReleasedText:
    """See the module. consumer: makes a consumer of the clean topic, in no group."""

    def __init__(
        self, topic: str, left_out: StandingLeftOut, consumer: Callable[[], KafkaConsumer]
    ) -> None:
        self._topic = topic
        self._left_out = left_out
        self._make = consumer
        self._consumer: KafkaConsumer | None = None
        self._reading: tuple[str, Stretch] | None = None
        self._mark = -1
        self._found: deque[Arrival] = deque()
        self._num_characters = 0

    def next(
        self,
        quarantine: Quarantine,
        max_tokens: int,
        enough_characters: int,
        num_tokens: Callable[[Content], int],
    ) -> Portion | None:
        """Read on for a moment; what is to be learned now, if that is enough or all there is."""
        front = next(iter(quarantine.released()), None)
        if front is None:
            self.close()
            return None
        source, stretch = front
        try:
            is_end = self._read(source, stretch)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("what was kept of %r cannot be read now: %r", source, error)
            return None
        if not is_end and self._num_characters < enough_characters:
            return None
        portion = Portion(source, stretch.partition, self._portion(max_tokens, num_tokens))
        if not portion.arrivals or not self._found:
            # From its front again, as it will be then.
            self._reading = None
        return portion

    def close(self) -> None:
        """Until there is something again."""
        self._reading = None
        self._found.clear()
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
            self._consumer = None

    def _portion(self, max_tokens: int, num_tokens: Callable[[Content], int]) -> list[Arrival]:
        taken: list[Arrival] = []
        left = max_tokens
        while self._found:
            document = self._found[0].document
            left -= num_tokens(content_of(document))
            if taken and left < 0:
                break
            taken.append(self._found.popleft())
            self._num_characters -= len(document.text)
        return taken

    def _read(self, source: str, stretch: Stretch) -> bool:
        """Whether the end of the stretch is reached."""
        if self._consumer is None:
            self._consumer = self._make()
        place = TopicPartition(self._topic, stretch.partition)
        if self._reading is None or self._reading[1] is not stretch:
            self._consumer.assign([place])
            self._seek(place, source, stretch.first)
            self._reading = (source, stretch)
            self._mark = stretch.after_raw
            self._found.clear()
            self._num_characters = 0
        if self._consumer.position(place) > stretch.last:
            return True
        try:
            polled = self._consumer.poll(timeout_ms=POLL_MS)
        except OffsetOutOfRangeError:
            self._seek(place, source, self._consumer.position(place))
            return False
        for record in polled.get(place, ()):
            self._admit(source, stretch, record)
        return bool(self._consumer.position(place) > stretch.last)

    def _seek(self, place: TopicPartition, source: str, wanted: int) -> None:
        assert self._consumer is not None
        first = self._consumer.beginning_offsets([place])[place]
        if first > wanted:
            log.error(
                "%s, partition %d: %d to %d have expired; what was kept of %r there is lost",
                self._topic, place.partition, wanted, first - 1, source,
            )  # fmt: skip
        self._consumer.seek(place, max(first, wanted))

    def _admit(self, source: str, stretch: Stretch, record: Any) -> None:
        if record.offset > stretch.last:
            return
        arrival = arrival_of(stretch.partition, record)
        if arrival is None or arrival.document.source != source:
            return
        if arrival.raw_offset <= self._mark or not arrival.document.text.strip():
            return
        self._mark = arrival.raw_offset
        if self._left_out.takes(stretch.partition, arrival.raw_offset, source):
            return
        self._found.append(arrival)
        self._num_characters += len(arrival.document.text)
