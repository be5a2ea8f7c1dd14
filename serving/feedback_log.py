"""Feedback into its topic, once for each id.

The newest ids are remembered with what they said and where it is: a call that is repeated, or comes
twice at the same time, writes one record. Only the event loop touches it. Called by
`serving/services/feedback.py`.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from riverrun.errors import IdTaken
from riverrun.feedback import Feedback
from riverrun.kafka import Topics
from riverrun.records import encode
from riverrun.settings import Settings
from serving.kafka_writer import KafkaWriter

MAX_IDS = 10_000


@dataclass(frozen=True, slots=True)
class Written:
    """Where a record is. `repeated`: it was there before this call."""

    topic: str
    partition: int
    offset: int
    repeated: bool


class FeedbackLog:
    """The `feedback` topic, as one server writes it."""

    def __init__(self, settings: Settings, writer: KafkaWriter, max_ids: int = MAX_IDS) -> None:
        self.topic = Topics(settings.kafka.topic_prefix).feedback
        self._writer = writer
        self._max_ids = max_ids
        self._known: OrderedDict[str, tuple[int, asyncio.Future[tuple[int, int]]]] = OrderedDict()

    async def write(self, feedback: Feedback) -> Written:
        """
        Raises:
            IdTaken: the id was used for other feedback.
            BrokerError, NotRunning: Kafka is away.
        """
        said = _fingerprint(feedback)
        known = self._known.get(feedback.id)
        if known is not None:
            if known[0] != said:
                raise IdTaken("id", feedback.id)
            partition, offset = await asyncio.shield(known[1])
            return Written(self.topic, partition, offset, repeated=True)
        # A task of its own: a caller that goes must not leave it unknown whether it was written.
        key = feedback.request_id or feedback.id
        writing = asyncio.ensure_future(self._writer.write(self.topic, key, encode(feedback)))
        self._known[feedback.id] = (said, writing)
        writing.add_done_callback(lambda done: self._forget_failed(feedback.id, done))
        while len(self._known) > self._max_ids:
            self._known.popitem(last=False)
        partition, offset = await asyncio.shield(writing)
        return Written(self.topic, partition, offset, repeated=False)

    def _forget_failed(self, feedback_id: str, done: "asyncio.Future[tuple[int, int]]") -> None:
        if done.cancelled() or done.exception() is not None:
            self._known.pop(feedback_id, None)


def _fingerprint(feedback: Feedback) -> int:
    """Of all that it says but when."""
    return hash(encode(msgspec.structs.replace(feedback, at_ms=0)))
