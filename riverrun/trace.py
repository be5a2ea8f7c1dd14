"""From a version back to the text that it learned: manifest, spans of offsets, documents in Kafka.

Called by `riverrun trace` and the demo. Reads the clean topic by offset, in no consumer group, so
that it disturbs nobody.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from riverrun.errors import BrokerError, UnknownVersion
from riverrun.kafka import Topics, bootstrap_servers, client_options
from riverrun.records import RAW_OFFSET_HEADER, Document, LeftOut, Span
from riverrun.settings import Settings
from riverrun.store import Manifest, VersionStore

BROKER_PATIENCE_S = 5.0
POLL_MS = 200


class TracedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was learned, and where it is in Kafka."""

    step: int
    partition: int
    raw_offset: int
    clean_offset: int
    document: Document


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Clean offsets that Kafka no longer has; both ends are included."""

    partition: int
    clean_first: int
    clean_last: int


def line_of(store: VersionStore, version: str, *, whole: bool) -> Iterator[Manifest]:
    """The manifest of `version`, then (when `whole`) of its parents, back to the first.

    Raises UnknownVersion for `version`; a line whose older end is not in this store just ends.
    """
    manifest = store.manifest(version)
    yield manifest
    while whole and manifest.parent is not None:
        try:
            manifest = store.manifest(manifest.parent)
        except UnknownVersion:
            return
        yield manifest


class CleanTopic:
    """The clean topic, read by offset. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        servers = bootstrap_servers(settings, BROKER_PATIENCE_S)
        self.topic = Topics(settings.kafka.topic_prefix).clean
        self.timeout_s = settings.kafka.request_timeout_s
        try:
            self._consumer = KafkaConsumer(
                **client_options(settings.kafka, servers),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
            )
        except (KafkaError, OSError) as error:
            raise BrokerError(f"Kafka at {', '.join(servers)} does not answer: {error}") from error

    def __enter__(self) -> "CleanTopic":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(
        self, span: Span, left_out: Sequence[LeftOut] = ()
    ) -> Iterator[TracedDocument | Missing]:
        """The documents of one span in order; what is gone comes as `Missing`.

        left_out: of the version's manifest: what was undone before it was learned.
        Raises BrokerError when Kafka does not answer.
        """
        from kafka import TopicPartition

        place = TopicPartition(self.topic, span.partition)
        self._consumer.assign([place])
        first = self._consumer.beginning_offsets([place])[place]
        end = self._consumer.end_offsets([place])[place]
        if first > span.clean_first or end <= span.clean_first:
            gone_to = (
                min(first - 1, span.clean_last) if first > span.clean_first else span.clean_last
            )
            yield Missing(
                partition=span.partition, clean_first=span.clean_first, clean_last=gone_to
            )
            if gone_to == span.clean_last:
                return
        newest_raw = span.raw_first - 1
        for record in self._records(place, max(first, span.clean_first), span.clean_last):
            raw_offset = int(dict(record.headers)[RAW_OFFSET_HEADER])
            # A repetition of an older raw record, which the learner dropped.
            if not newest_raw < raw_offset <= span.raw_last:
                continue
            newest_raw = raw_offset
            if raw_offset in span.held_out:
                continue
            document = msgspec.json.decode(record.value, type=Document)
            if document.source in span.without or span.only not in (None, document.source):
                continue
            if any(one.takes(span.partition, raw_offset, document.source) for one in left_out):
                continue
            yield TracedDocument(
                step=span.step,
                partition=span.partition,
                raw_offset=raw_offset,
                clean_offset=record.offset,
                document=document,
            )

    def _records(self, place: Any, first: int, last: int) -> Iterator[Any]:
        self._consumer.seek(place, first)
        deadline_s = time.monotonic() + self.timeout_s
        while self._consumer.position(place) <= last:
            records = self._consumer.poll(timeout_ms=POLL_MS).get(place, [])
            if records:
                deadline_s = time.monotonic() + self.timeout_s
            elif time.monotonic() >= deadline_s:
                raise BrokerError(
                    f"{self.topic}, partition {place.partition}: no record at or after offset "
                    f"{self._consumer.position(place)} within {self.timeout_s:g} s"
                )
            for record in records:
                if record.offset > last:
                    return
                yield record
