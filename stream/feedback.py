"""Reads the `feedback` topic: what is no feedback becomes a dead letter, with the field named.

Nothing learns from the topic, and nothing is written but letters: it is checked here so that a
producer hears of its mistake now, and not from whatever reads the topic one day. A consumer group
of its own, beside faust's app, for which all partitions are of `raw`. As there, letters are written
before their offsets are committed: a crash repeats letters and never leaves one out, and readers
know a repeated one by its coordinates.

Started by `stream.main`.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from riverrun.errors import BrokerError
from riverrun.kafka import Topics
from riverrun.metrics import StreamMetrics
from riverrun.records import Rejection
from riverrun.settings import KafkaSettings
from stream.broker import ISOLATION_LEVEL, client_options
from stream.feedback_record import read_feedback
from stream.letter_writer import LetterWriter
from stream.pipeline import rejection
from stream.raw_record import RawRecord
from stream.rejected import Rejected

POLL_MS = 1000
MAX_RECORDS = 500
STOP_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class FeedbackCheck:
    """instance_id: as of the app. letters: asked once, when Kafka answers."""

    def __init__(
        self,
        kafka: KafkaSettings,
        servers: list[str],
        metrics: StreamMetrics,
        letters: Callable[[], LetterWriter],
        instance_id: str | None = None,
    ) -> None:
        self._kafka = kafka
        self._servers = servers
        self._metrics = metrics
        self._letters = letters
        self._instance_id = instance_id

    async def run(self) -> None:
        """Check what comes until cancelled. Raises BrokerError when Kafka does not take a letter,
        or does not let the topic be read."""
        topic = Topics(self._kafka.topic_prefix).feedback
        consumer = AIOKafkaConsumer(
            topic,
            **client_options(self._kafka, self._servers),
            group_id=f"{self._kafka.topic_prefix}riverrun-feedback",
            group_instance_id=self._instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level=ISOLATION_LEVEL,
        )
        try:
            await consumer.start()
            letters = self._letters()
            while True:
                polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
                if polled:
                    await self._check(polled, letters)
                    await _commit(consumer, polled)
        except KafkaError as error:
            raise BrokerError(f"{topic} cannot be read: {error!r}") from error
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(consumer.stop(), STOP_TIMEOUT_S)

    async def _check(self, polled: dict[TopicPartition, list[Any]], letters: LetterWriter) -> None:
        rejections: dict[int, list[tuple[RawRecord, Rejection]]] = {}
        kinds: Counter[str] = Counter()
        for tp, records in polled.items():
            for record in records:
                try:
                    kinds[read_feedback(record.value).kind] += 1
                except Rejected as rejected:
                    raw = raw_record(record)
                    letter = rejection(raw, rejected.reason, rejected.detail)
                    rejections.setdefault(tp.partition, []).append((raw, letter))
        await letters.write(rejections)
        for kind, num in kinds.items():
            self._metrics.feedback.labels(kind).inc(num)


async def _commit(consumer: Any, polled: dict[TopicPartition, list[Any]]) -> None:
    try:
        await consumer.commit({tp: records[-1].offset + 1 for tp, records in polled.items()})
    except (CommitFailedError, IllegalStateError) as error:
        # The group has a new generation: whoever has the partition now reads it again.
        log.info("feedback was not committed, and is checked again: %r", error)


def raw_record(record: Any) -> RawRecord:
    """A record of aiokafka as we know it."""
    return RawRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
    )
