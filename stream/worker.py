"""Takes raw records as they come, cleans them, and writes what they became.

One batch at a time: what has arrived, cleaned one by one. At idle that is one record, at once; in a
steady flow what comes within `batch_wait_s`, since a write costs as much for a hundred records as
for one. Dead letters are written, then documents, each partition in order; only then are the raw
records acknowledged, so that their offset can be committed. A crash anywhere repeats records and
never leaves one out.

Knows of faust only the queue of events and `event.ack()`. The app runs it as its agent.
"""

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from riverrun.errors import PartitionCountChanged
from riverrun.metrics import StreamMetrics
from riverrun.records import RAW_OFFSET_HEADER, RAW_TIMESTAMP_HEADER, Document, Rejection, encode
from riverrun.settings import StreamSettings
from stream.letter_writer import LetterWriter
from stream.pipeline import rejection
from stream.raw_order import RawOrder
from stream.raw_record import RawRecord
from stream.source_labels import SourceLabels
from stream.verdicts import Verdicts
from stream.watermarks import Watermarks
from stream.writer import Outgoing, Writer

MAX_BATCH_BYTES = 16_777_216
"""A batch ends here, however few records it has: all of them are in memory twice."""

BREATH_S = 0.05
"""Cleaning gives way to the event loop (commits, /metrics, signals) after this long."""


class Worker:
    """The cleaning of one process."""

    def __init__(
        self,
        settings: StreamSettings,
        metrics: StreamMetrics,
        order: RawOrder,
        verdicts: Verdicts,
        documents: Writer,
        dead_letters: LetterWriter,
        generation: Callable[[], int],
        num_partitions: int,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._order = order
        self._verdicts = verdicts
        self._documents = documents
        self._dead_letters = dead_letters
        self._generation = generation
        self._num_partitions = num_partitions
        self._labels = SourceLabels()
        self._watermarks = Watermarks(metrics, self._labels, settings.late_s)
        self.positions: dict[int, int] = {}
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, queue: Any) -> None:
        """Clean what comes through the queue until `finish`. What escapes must end the process."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        ended = -math.inf
        try:
            while not self._stopping.is_set():
                first = asyncio.ensure_future(queue.get())
                await asyncio.wait((first, stopping), return_when=asyncio.FIRST_COMPLETED)
                if self._stopping.is_set():
                    first.cancel()
                    return
                self._idle.clear()
                busy = time.monotonic() - ended < self._settings.batch_wait_s
                if busy and queue.qsize() < self._settings.batch_records:
                    await asyncio.wait((stopping,), timeout=self._settings.batch_wait_s)
                await self._clean_batch(self._fill(first.result(), queue))
                ended = time.monotonic()
                self._idle.set()
        finally:
            self._idle.set()
            stopping.cancel()

    async def finish(self) -> None:
        """End after the batch in hand."""
        self._stopping.set()
        await self._idle.wait()

    def _fill(self, first: Any, queue: Any) -> list[Any]:
        """What waits in the queue, up to one batch."""
        batch = [first]
        num_bytes = len(first.value or b"")
        while (
            len(batch) < self._settings.batch_records
            and num_bytes < MAX_BATCH_BYTES
            and not queue.empty()
        ):
            event = queue.get_nowait()
            num_bytes += len(event.value or b"")
            batch.append(event)
        return batch

    async def _clean_batch(self, batch: list[Any]) -> None:
        # After a rebalance faust reads again from the committed offsets; what it queued before is
        # neither cleaned nor acknowledged.
        generation = self._generation()
        events = [event for event in batch if event.message.generation_id == generation]
        if self._order.enter(generation):
            self._verdicts.enter()
            self.positions.clear()
        documents: dict[int, list[tuple[RawRecord, Document]]] = defaultdict(list)
        rejections: dict[int, list[tuple[RawRecord, Rejection]]] = defaultdict(list)
        num_read: Counter[int] = Counter()
        breath = time.monotonic()
        for event in events:
            message = event.message
            if not await self._order.admit(message.partition, message.offset):
                continue
            self._check_count(message.partition)
            await self._verdicts.begin(message.partition, message.offset)
            raw = raw_record(event)
            result = self._judge(raw)
            num_read[raw.partition] += 1
            if isinstance(result, Document):
                documents[raw.partition].append((raw, result))
            else:
                rejections[raw.partition].append((raw, result))
            if time.monotonic() - breath > BREATH_S:
                await asyncio.sleep(0)
                breath = time.monotonic()
        # Once a batch: finding a labelled metric takes as long as some stages do.
        for partition, count in num_read.items():
            self._metrics.records.labels(partition).inc(count)
        await self._dead_letters.write(rejections)
        await asyncio.gather(*(self._write_documents(*item) for item in documents.items()))
        # Before the offsets may be committed, which takes the notes along.
        for partition in documents.keys() | rejections.keys():
            self._verdicts.note(partition)
        for event in events:
            event.ack()
            partition, following = event.message.partition, event.message.offset + 1
            self.positions[partition] = max(following, self.positions.get(partition, 0))
        for partition in {event.message.partition for event in events}:
            self._metrics.position.labels(partition).set(self.positions[partition])

    def _judge(self, raw: RawRecord) -> Document | Rejection:
        started = time.perf_counter()
        result = self._verdicts.of(raw)
        self._metrics.clean_seconds.observe(time.perf_counter() - started)
        return result

    async def _write_documents(
        self, partition: int, cleaned: list[tuple[RawRecord, Document]]
    ) -> None:
        outgoing = [
            Outgoing(
                key=document.source.encode(),
                value=encode(document),
                headers=[
                    (RAW_OFFSET_HEADER, b"%d" % raw.offset),
                    (RAW_TIMESTAMP_HEADER, b"%d" % raw.timestamp_ms),
                ],
            )
            for raw, document in cleaned
        ]
        refused = await self._documents.write(partition, outgoing)
        if refused:
            detail = "the clean topic does not take a record as large (its max.message.bytes)"
            too_large = [
                (raw := cleaned[i][0], rejection(raw, "too_large", detail)) for i in refused
            ]
            await self._dead_letters.write({partition: too_large})
        written = [one for index, one in enumerate(cleaned) if index not in refused]
        for raw, document in written:
            self._watermarks.pass_by(document.source, document.timestamp_ms, raw.timestamp_ms)
        num_written = Counter(self._labels.label(document.source) for _, document in written)
        for label, count in num_written.items():
            self._metrics.documents.labels(label).inc(count)
        self._metrics.text_bytes.inc(sum(len(document.text.encode()) for _, document in written))

    def _check_count(self, partition: int) -> None:
        if partition >= self._num_partitions:
            raise PartitionCountChanged(
                f"raw has a partition {partition}, and kafka.num_partitions is "
                f"{self._num_partitions}: partitions were added while the stream ran. A raw "
                "partition is a clean partition; take a topic of the old count, or begin anew with "
                "another kafka.topic_prefix. Nothing of the new partitions was read."
            )


def raw_record(event: Any) -> RawRecord:
    """A faust event as we know it."""
    message = event.message
    return RawRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round((message.timestamp or 0) * 1000),
        key=message.key,
        value=message.value,
        headers={name: value or b"" for name, value in message.headers or ()},
    )
