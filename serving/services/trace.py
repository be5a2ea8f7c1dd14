"""What versions learned, event by event: spans of offsets, and the documents behind them.

The store and Kafka block, so each next event is read on another thread. Called by
`serving/services/model.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack

from riverrun.records import Span
from riverrun.settings import Settings
from riverrun.store import Manifest
from riverrun.trace import CleanTopic, Missing, TracedDocument
from riverrun.v1 import model_pb2 as pb
from riverrun.v1 import version_pb2
from serving.services.version_proto import version_proto

Event = pb.TraceVersionResponse


async def events_of(
    line: Iterator[Manifest], settings: Settings | None
) -> AsyncGenerator[Event, None]:
    """
    settings: of the Kafka that has the documents; None for none of them.

    Raises:
        UnknownVersion: the first version is not there.
        BrokerError, NotRunning: documents are asked for, and Kafka is away.
    """
    events = _events(line, settings)
    try:
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event
    finally:
        # A call that was cancelled may have left a thread inside: it closes with its last event.
        await asyncio.shield(asyncio.to_thread(_close, events))


def _close(events: Generator[Event, None, None]) -> None:
    try:
        events.close()
    except ValueError:  # a thread is still inside; what it holds goes with the generator
        return


def _events(line: Iterator[Manifest], settings: Settings | None) -> Generator[Event, None, None]:
    with ExitStack() as stack:
        topic: CleanTopic | None = None
        for manifest in line:
            yield Event(version=version_proto(manifest))
            for span in manifest.learned:
                yield Event(span=_span_proto(span))
                if settings is not None:
                    topic = topic or stack.enter_context(CleanTopic(settings))
                    yield from map(_found_proto, topic.read(span, manifest.left_out))


def _span_proto(span: Span) -> version_pb2.Span:
    return version_pb2.Span(
        step=span.step,
        partition=span.partition,
        raw_first=span.raw_first,
        raw_last=span.raw_last,
        clean_first=span.clean_first,
        clean_last=span.clean_last,
        documents=span.num_documents,
    )


def _found_proto(found: TracedDocument | Missing) -> Event:
    if isinstance(found, Missing):
        return Event(
            missing=version_pb2.MissingDocuments(
                partition=found.partition,
                clean_first=found.clean_first,
                clean_last=found.clean_last,
            )
        )
    return Event(
        document=version_pb2.LearnedDocument(
            step=found.step,
            partition=found.partition,
            raw_offset=found.raw_offset,
            clean_offset=found.clean_offset,
            source=found.document.source,
            timestamp_ms=found.document.timestamp_ms,
            id=found.document.id or "",
            text=found.document.text,
        )
    )
