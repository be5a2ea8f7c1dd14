"""The dead letters: read them, fetch the record behind one, send records back after a fix, once.

A send-back and the note that it happened (a letter `sent_back` of the same coordinates) are one
Kafka transaction, under one transactional id for the whole system: whoever sends back next waits
for it or aborts it, then reads all notes, and leaves out what was sent. So a crash in the middle, a
repeated command and two operators at once send each record once.

Called by `riverrun dead-letters`. kafka-python is imported when Kafka is asked.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from riverrun.errors import BrokerError, InvalidValue
from riverrun.kafka import Topics, bootstrap_servers, client_options, why
from riverrun.records import RESENT_HEADER, RESUME_HEADER, Reason, Rejection, encode
from riverrun.settings import Settings

FIND_BROKER_S = 10.0
POLL_MS = 200
TRANSACTION_RECORDS = 200
READ_ON_OFFSETS = 500
"""So near ahead it is quicker to read on than to seek."""

NOTES: frozenset[Reason] = frozenset(("resumed", "sent_back"))
"""Letters that stand for no lost text, and are never sent back."""

MARK_KEY = b"riverrun"
"""Of marks, since kafka-python sends nothing that has neither key nor value."""

Place = tuple[int, int]
"""Raw partition and offset."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. position: its own partition and offset in the dead-letter topic."""

    position: Place
    key: bytes | None
    rejection: Rejection

    @property
    def place(self) -> Place:
        return (self.rejection.partition, self.rejection.offset)


@dataclass(frozen=True, slots=True)
class Original:
    """The raw record behind a letter, whole."""

    place: Place
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(slots=True)
class SentBack:
    """sent: from where to where. before: sent at an earlier time. gone: not in `raw` any more."""

    sent: dict[Place, Place]
    before: list[Place]
    gone: list[Place]


class DeadLetters:
    """Of one system. Use as a context manager. Raises BrokerError when Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        self._settings = settings
        self._kafka = settings.kafka
        self._topics = Topics(settings.kafka.topic_prefix)
        self._servers = bootstrap_servers(settings, FIND_BROKER_S)
        self._timeout_ms = int(settings.kafka.request_timeout_s * 1000)
        self._buffer: deque[Any] = deque()
        try:
            self._consumer = KafkaConsumer(
                **client_options(self._kafka, self._servers),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                bootstrap_timeout_ms=self._timeout_ms,
                max_partition_fetch_bytes=max(1_048_576, self._kafka.max_record_bytes),
            )
        except (KafkaError, OSError) as error:
            raise self._unreachable(error) from error

    def __enter__(self) -> "DeadLetters":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def letters(self) -> Iterator[Letter]:
        """Every letter up to now, notes included, oldest first.

        A letter that a crash wrote twice comes once; its coordinates are remembered for that.
        """
        seen: set[tuple[Place, Reason]] = set()
        for record in self._everything(self._topics.dead_letter):
            try:
                rejection = msgspec.json.decode(record.value or b"", type=Rejection)
            except msgspec.DecodeError:
                continue  # somebody else's record
            letter = Letter((record.partition, record.offset), record.key, rejection)
            if (letter.place, rejection.reason) not in seen:
                seen.add((letter.place, rejection.reason))
                yield letter

    def sent_back(self) -> set[Place]:
        """The coordinates that were sent back, by the notes."""
        return {letter.place for letter in self.letters() if letter.rejection.reason == "sent_back"}

    def by_reason(self) -> Counter[Reason]:
        """How many letters each reason has."""
        return Counter(letter.rejection.reason for letter in self.letters())

    def original(self, place: Place) -> Original | None:
        """The raw record at these coordinates; None when `raw` does not hold it any more.

        Raises InvalidValue for a partition or an offset that `raw` never had.
        """
        from kafka import TopicPartition

        partition, offset = place
        tp = TopicPartition(self._topics.raw, partition)
        if partition not in (self._consumer.partitions_for_topic(tp.topic) or ()):
            raise InvalidValue("PARTITION:OFFSET", f"{partition}:{offset}", "a partition of `raw`")
        if self._consumer.assignment() != {tp}:
            self._consumer.assign([tp])
            self._buffer.clear()
        begin = self._consumer.beginning_offsets([tp])[tp]
        end = self._consumer.end_offsets([tp])[tp]
        if not 0 <= offset < end:
            raise InvalidValue(
                "PARTITION:OFFSET", f"{partition}:{offset}", f"an offset of 0 to {end - 1} there"
            )
        if offset < begin:
            return None
        record = self._record_at(tp, offset, end)
        if record is None:
            return None
        return Original(place, record.timestamp, record.key, record.value, list(record.headers))

    def send_back(self, places: Iterable[Place], *, force: bool = False) -> SentBack:
        """Write the raw records at `places` to their partitions again, in this order.

        What was sent back before is left out, unless `force`. Raises BrokerError when Kafka does
        not take them; what was sent until then is noted.
        """
        from kafka.errors import KafkaError

        result = SentBack({}, [], [])
        producer = self._producer(f"{self._settings.kafka.topic_prefix}riverrun-dead-letters")
        try:
            producer.init_transactions()
            before = set() if force else self.sent_back()
            wanted = deque(dict.fromkeys(places))
            while wanted:
                batch: list[Original] = []
                while wanted and len(batch) < TRANSACTION_RECORDS:
                    place = wanted.popleft()
                    original = None if place in before else self.original(place)
                    if original is not None:
                        batch.append(original)
                    elif place in before:
                        result.before.append(place)
                    else:
                        result.gone.append(place)
                result.sent.update(self._send(producer, batch))
        except (KafkaError, OSError) as error:
            raise self._unreachable(error) from error
        finally:
            producer.close(timeout=5)
        return result

    def resume(self, source: str) -> dict[int, int]:
        """End the pause of `source` (`*`: of all) by a mark in each raw partition; where it is."""
        from kafka.errors import KafkaError

        producer = self._producer(None)
        header = [(RESUME_HEADER, source.encode())]
        raw = self._topics.raw
        try:
            futures = [
                producer.send(raw, None, key=MARK_KEY, partition=partition, headers=header)
                for partition in sorted(producer.partitions_for(raw))
            ]
            marks = [future.get(self._timeout_ms / 1000) for future in futures]
        except (KafkaError, OSError) as error:
            raise self._unreachable(error) from error
        finally:
            producer.close(timeout=5)
        return {mark.partition: mark.offset for mark in marks}

    def _send(self, producer: Any, batch: list[Original]) -> dict[Place, Place]:
        """One transaction."""
        if not batch:
            return {}
        producer.begin_transaction()
        try:
            futures = [
                producer.send(
                    self._topics.raw,
                    # What is null without a key was no text, and kafka-python cannot send it.
                    b"" if original.value is None and original.key is None else original.value,
                    key=original.key,
                    partition=original.place[0],
                    headers=headers_again(original),
                )
                for original in batch
            ]
            sent = {}
            for original, future in zip(batch, futures, strict=True):
                at = future.get(self._timeout_ms / 1000)
                sent[original.place] = (at.partition, at.offset)
                note = self._note(original, f"to {at.partition}:{at.offset}")
                producer.send(self._topics.dead_letter, encode(note), key=original.key)
        except BaseException:
            producer.abort_transaction()
            raise
        producer.commit_transaction()
        return sent

    def _note(self, original: Original, detail: str) -> Rejection:
        return Rejection(
            reason="sent_back",
            detail=detail,
            topic=self._topics.raw,
            partition=original.place[0],
            offset=original.place[1],
            num_bytes=len(original.value or b""),
            head=b"",
            timestamp_ms=max(0, original.timestamp_ms),
        )

    def _everything(self, topic: str) -> Iterator[Any]:
        """The records of a topic up to its end now."""
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        try:
            partitions = self._consumer.partitions_for_topic(topic) or ()
            places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
            self._consumer.assign(places)
            self._buffer.clear()
            if not places:
                return
            ends = self._consumer.end_offsets(places)
            self._consumer.seek_to_beginning(*places)
            deadline = self._deadline()
            while any(self._consumer.position(tp) < end for tp, end in ends.items()):
                polled = self._consumer.poll(timeout_ms=POLL_MS)
                if polled:
                    deadline = self._deadline()
                elif time.monotonic() > deadline:
                    raise BrokerError(f"Kafka does not give {topic} up to its end")
                for tp, records in polled.items():
                    yield from (record for record in records if record.offset < ends[tp])
        except (KafkaError, OSError) as error:
            raise self._unreachable(error) from error

    def _record_at(self, tp: Any, offset: int, end: int) -> Any:
        """The record of exactly this offset; None when there is none (compacted, aborted)."""
        following = self._buffer[0].offset if self._buffer else self._consumer.position(tp)
        if not following <= offset < following + READ_ON_OFFSETS:
            self._buffer.clear()
            self._consumer.seek(tp, offset)
        deadline = self._deadline()
        while True:
            while self._buffer:
                if self._buffer[0].offset > offset:
                    return None
                record = self._buffer.popleft()
                if record.offset == offset:
                    return record
            if self._consumer.position(tp) > offset or self._consumer.position(tp) >= end:
                return None
            self._buffer.extend(self._consumer.poll(timeout_ms=POLL_MS).get(tp, []))
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka does not give {tp.topic} {tp.partition}:{offset}")

    def _producer(self, transactional_id: str | None) -> Any:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        try:
            return KafkaProducer(
                **client_options(self._kafka, self._servers),
                acks="all",
                enable_idempotence=True,
                transactional_id=transactional_id,
                max_request_size=self._kafka.max_record_bytes,
                bootstrap_timeout_ms=self._timeout_ms,
                max_block_ms=self._timeout_ms,
                allow_auto_create_topics=False,
            )
        except (KafkaError, OSError) as error:
            raise self._unreachable(error) from error

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout_ms / 1000

    def _unreachable(self, error: Exception) -> BrokerError:
        reason = why(self._kafka, error)
        return BrokerError(f"Kafka at {', '.join(self._servers)} does not answer: {reason}")


def headers_again(original: Original) -> list[tuple[str, bytes]]:
    """The headers of a record that is sent back: its own, its first coordinates, its time.

    Kafka stamps it anew, and text without a time of its own would seem to be of today.
    """
    names = {name for name, _ in original.headers}
    added = []
    if RESENT_HEADER not in names:
        added.append((RESENT_HEADER, b"%d:%d" % original.place))
    if "timestamp" not in names and original.timestamp_ms >= 0:
        added.append(("timestamp", b"%d" % original.timestamp_ms))
    return [*original.headers, *added]
