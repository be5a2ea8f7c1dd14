"""Clean records out of Kafka, each document once, in order.

Partitions are assigned by hand and begin where the checkpoint says; Kafka's own idea of offsets is
never asked. A record at or below its partition's mark (the highest raw offset learned) is a
repetition and is dropped, so the stream may send twice. Offsets that Kafka no longer holds stop the
learner with an explanation; they are never jumped over.

A broker that is away is waited for; kafka-python reconnects by itself. Knows nothing of tokens or
steps. Called by `loop.py` and `resume.py`.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from learner.arrival import Arrival, Range
from learner.content import told
from learner.left_out import StandingLeftOut
from riverrun.errors import BrokerError, OffsetExpired
from riverrun.records import RAW_OFFSET_HEADER, RAW_TIMESTAMP_HEADER, Document

log = logging.getLogger(__name__)

RECORDS_A_POLL = 2000
REFETCH_TIMEOUT_S = 120.0
"""For the documents of one journaled step; long enough for a broker that restarts."""


class Intake:
    """The clean topic, from the offsets on that are not yet learned."""

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        max_record_bytes: int,
        left_out: StandingLeftOut | None = None,
    ) -> None:
        """left_out: what was undone and never comes out of here, looked at each time."""
        self._topic = topic
        self._consumer = KafkaConsumer(
            **options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=max(1_048_576, max_record_bytes),
            max_poll_records=RECORDS_A_POLL,
            # Kafka's restart takes 3 s; text should not wait for half a minute after it.
            reconnect_backoff_max_ms=1000,
            metrics_enabled=False,
        )
        self._left_out = left_out
        self._waiting: deque[Arrival] = deque()
        self._waiting_characters = 0
        self._marks: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self.dropped: Counter[str] = Counter()

    def partitions(self) -> list[int]:
        """Those of the topic; empty while it does not exist."""
        return sorted(self._consumer.partitions_for_topic(self._topic))

    def oldest(self, partitions: Iterable[int]) -> dict[int, int]:
        """Per partition the offset of the first record that Kafka still has, or will have."""
        first = self._consumer.beginning_offsets(
            [TopicPartition(self._topic, p) for p in partitions]
        )
        return {tp.partition: offset for tp, offset in sorted(first.items())}

    def begin(self, next_clean: Mapping[int, int], marks: Mapping[int, int]) -> None:
        """Read the partitions of `next_clean`, from there on."""
        self._consumer.assign([TopicPartition(self._topic, p) for p in next_clean])
        self._next = dict(next_clean)
        for partition, offset in self._next.items():
            self._consumer.seek(TopicPartition(self._topic, partition), offset)
        self._marks = dict(marks)
        self._waiting.clear()
        self._waiting_characters = 0

    def __len__(self) -> int:
        """Documents that wait here."""
        return len(self._waiting)

    def first(self) -> Arrival:
        """The one that waits longest."""
        return self._waiting[0]

    def take(self) -> Arrival:
        arrival = self._waiting.popleft()
        self._waiting_characters -= len(arrival.document.text)
        return arrival

    def listen(self, wait_s: float, gather_s: float, enough_characters: int) -> None:
        """Let documents come in: up to `wait_s` for the first, then up to `gather_s` for more.

        `enough_characters` of waiting text end the wait at once.
        """
        if self._waiting_characters >= enough_characters:
            return
        self._poll(0.0 if self._waiting else wait_s)
        if not self._waiting:
            return
        deadline = time.monotonic() + gather_s
        while self._waiting_characters < enough_characters:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            self._poll(left_s)

    def refetch(
        self, ranges: Sequence[Range], marks: Mapping[int, int], source: str | None = None
    ) -> list[Arrival]:
        """Exactly the documents of a journaled step, which were taken with the same `marks`.

        source: only its documents; the ranges begin and end with one of them.
        `begin` has to be called before anything else is read. Raises OffsetExpired when Kafka does
        not hold them all, BrokerError when they do not come.
        """
        self._consumer.assign([TopicPartition(self._topic, r.partition) for r in ranges])
        for r in ranges:
            self._consumer.seek(TopicPartition(self._topic, r.partition), r.first)
        self._marks = dict(marks)
        last = {r.partition: r.last for r in ranges}
        self._next = {r.partition: r.first for r in ranges}
        deadline = time.monotonic() + REFETCH_TIMEOUT_S
        while any(self._next[partition] <= offset for partition, offset in last.items()):
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"{self._topic}: Kafka did not give the documents of a journaled step "
                    f"({_shown(ranges)}) within {REFETCH_TIMEOUT_S:g} s"
                )
            self._poll(0.5)
        found = [
            a
            for a in self._waiting
            if a.clean_offset <= last[a.partition] and source in (None, a.document.source)
        ]
        self._waiting.clear()
        self._waiting_characters = 0
        for r in ranges:
            offsets = [a.clean_offset for a in found if a.partition == r.partition]
            if not offsets or (min(offsets), max(offsets)) != (r.first, r.last):
                raise OffsetExpired(
                    f"{self._topic} no longer holds the documents {_shown([r])} that a journaled "
                    f"step learned from. {CHOICE}"
                )
        return found

    def look_ahead(self) -> None:
        """Let `lag` know what has come, without reading it."""
        try:
            held = list(self._consumer.assignment())
            self._ends = {tp.partition: end for tp, end in self._consumer.end_offsets(held).items()}
        except KafkaError as error:
            log.warning("%s: what has come is not known now: %r", self._topic, error)

    def lag(self) -> dict[int, int]:
        """Per partition the records that Kafka has told of and that were not taken yet."""
        waiting = Counter(arrival.partition for arrival in self._waiting)
        lags = {}
        for tp in self._consumer.assignment():
            end = max(
                (e for e in (self._consumer.highwater(tp), self._ends.get(tp.partition)) if e),
                default=None,
            )
            if end is not None:
                behind = max(0, end - self._next.get(tp.partition, end))
                lags[tp.partition] = behind + waiting[tp.partition]
        return lags

    def oldest_ms(self) -> int | None:
        """Kafka's time of the raw record that waits here longest; None when none does."""
        return self._waiting[0].arrived_ms if self._waiting else None

    def close(self) -> None:
        self._consumer.close(autocommit=False)

    def _poll(self, wait_s: float) -> None:
        try:
            polled = self._consumer.poll(timeout_ms=int(wait_s * 1000))
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            raise self._expired() from error
        except KafkaError as error:
            if not error.retriable:
                raise BrokerError(f"{self._topic} cannot be read: {error!r}") from error
            log.warning("%s cannot be read now, trying again: %r", self._topic, error)
            time.sleep(min(wait_s, 0.2))
            return
        for tp, records in polled.items():
            for record in records:
                self._admit(tp.partition, record)

    def _admit(self, partition: int, record: Any) -> None:
        self._next[partition] = record.offset + 1
        arrival = arrival_of(partition, record)
        if arrival is None:
            self.dropped["bad_record"] += 1
            log.warning("%s %d:%d is no clean document", self._topic, partition, record.offset)
        elif not arrival.document.text.strip():
            self.dropped["empty"] += 1
        elif arrival.raw_offset <= self._marks.get(partition, -1):
            self.dropped["repeated"] += 1
        elif self._left_out is not None and self._left_out.takes(
            partition, arrival.raw_offset, arrival.document.source
        ):
            self.dropped["undone"] += 1
        else:
            self._marks[partition] = arrival.raw_offset
            self._waiting.append(arrival)
            self._waiting_characters += len(arrival.document.text)

    def _expired(self) -> OffsetExpired:
        """Which partition's next offset lies outside of what Kafka holds."""
        held = list(self._consumer.assignment())
        first = self._consumer.beginning_offsets(held)
        end = self._consumer.end_offsets(held)
        for tp in sorted(held):
            wanted = self._next[tp.partition]
            if not first[tp] <= wanted <= end[tp]:
                return OffsetExpired(
                    f"{self._topic}, partition {tp.partition}: the next offset to learn is "
                    f"{wanted}, but Kafka holds {first[tp]} to {end[tp] - 1}. {CHOICE}"
                )
        return OffsetExpired(
            f"{self._topic}: an offset that is still to be learned is gone. {CHOICE}"
        )


CHOICE = (
    "Is this the Kafka that the data directory belongs to? If it is, the text between is lost to "
    "this learner: lengthen the topic's retention, and begin anew with another --data-dir, or "
    "restore the topic."
)


def arrival_of(partition: int, record: Any) -> Arrival | None:
    """The record as an arrival; None when it is no document or does not tell its raw offset."""
    headers = dict(record.headers)
    try:
        raw_offset = int(headers[RAW_OFFSET_HEADER])
        arrived_ms = int(headers.get(RAW_TIMESTAMP_HEADER, record.timestamp))
        document = msgspec.json.decode(record.value or b"", type=Document)
    except (KeyError, ValueError, msgspec.DecodeError):
        return None
    if raw_offset < 0:
        return None
    if document.messages is not None and not told(document.messages).strip():
        return None  # a conversation in which nobody answers
    return Arrival(partition, record.offset, raw_offset, arrived_ms, document)


def _shown(ranges: Sequence[Range]) -> str:
    return ", ".join(f"{r.partition}:{r.first}-{r.last}" for r in ranges)
