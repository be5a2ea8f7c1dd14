"""Records sent back to `raw` after a fix, each once.

A send-back and the note that it happened (a letter `sent_back` of the same coordinates) are one
Kafka transaction, under one transactional id for the whole system: whoever sends back next waits
for it or aborts it, then reads all notes, and leaves out what was sent. So a crash in the middle, a
repeated command and two operators at once send each record once.

Called by `riverrun dead-letters send-back`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from riverrun.dead_letters.letters import DeadLetters, Original, Place
from riverrun.kafka import Topics
from riverrun.records import RESENT_HEADER, Rejection, encode

TRANSACTION_RECORDS = 200


@dataclass(slots=True)
class SentBack:
    """sent: from where to where. before: sent at an earlier time. gone: not in `raw` any more."""

    sent: dict[Place, Place]
    before: list[Place]
    gone: list[Place]


def send_back(letters: DeadLetters, places: Iterable[Place], *, force: bool = False) -> SentBack:
    """Write the raw records at `places` to their partitions again, in this order.

    What was sent back before is left out, unless `force`. Raises BrokerError when Kafka does not
    take them; what was sent until then is noted.
    """
    connection, result = letters.connection, SentBack({}, [], [])
    producer = connection.producer(f"{connection.prefix}riverrun-dead-letters")
    try:
        with connection.answering():
            producer.init_transactions()
            before = set() if force else letters.sent_back()
            wanted = deque(dict.fromkeys(places))
            while wanted:
                batch: list[Original] = []
                while wanted and len(batch) < TRANSACTION_RECORDS:
                    place = wanted.popleft()
                    original = None if place in before else letters.original(place)
                    if original is not None:
                        batch.append(original)
                    elif place in before:
                        result.before.append(place)
                    else:
                        result.gone.append(place)
                if batch:
                    sent = send_at_once(producer, batch, connection.topics, connection.timeout_s)
                    result.sent.update(sent)
    finally:
        producer.close(timeout=5)
    return result


def send_at_once(
    producer: Any, batch: list[Original], topics: Topics, timeout_s: float
) -> dict[Place, Place]:
    """One transaction: the records and their notes, or nothing."""
    producer.begin_transaction()
    try:
        futures = [
            producer.send(
                topics.raw,
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
            at = future.get(timeout_s)
            sent[original.place] = (at.partition, at.offset)
            note = note_of(original, topics.raw, f"to {at.partition}:{at.offset}")
            producer.send(topics.dead_letter, encode(note), key=original.key)
    except BaseException:
        producer.abort_transaction()
        raise
    producer.commit_transaction()
    return sent


def note_of(original: Original, topic: str, detail: str) -> Rejection:
    """That it was sent back."""
    return Rejection(
        reason="sent_back",
        detail=detail,
        topic=topic,
        partition=original.place[0],
        offset=original.place[1],
        num_bytes=len(original.value or b""),
        head=b"",
        timestamp_ms=max(0, original.timestamp_ms),
    )


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
