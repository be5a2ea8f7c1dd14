"""The letters of a system, and the record behind each: of `raw`, or of `feedback`.

Writes nothing. Called by `riverrun dead-letters` and by `send_back.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from riverrun.dead_letters.connection import Connection
from riverrun.dead_letters.topic_reader import TopicReader
from riverrun.records import Reason, Rejection
from riverrun.settings import Settings

NOTES: frozenset[Reason] = frozenset(("resumed", "sent_back"))
"""Letters that stand for no lost text, and are never sent back."""

Place = tuple[int, int]
"""Partition and offset, in `raw` where no other topic is named."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. position: its own partition and offset in the dead-letter topic.

    topic: which the record is of, without the system's prefix: `raw` or `feedback`.
    """

    position: Place
    topic: str
    key: bytes | None
    rejection: Rejection

    @property
    def place(self) -> Place:
        return (self.rejection.partition, self.rejection.offset)

    @property
    def is_lost_text(self) -> bool:
        """Whether it may be sent back to `raw`."""
        return self.topic == "raw" and self.rejection.reason not in NOTES


@dataclass(frozen=True, slots=True)
class Original:
    """The record behind a letter, whole."""

    place: Place
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class DeadLetters:
    """Of one system. Use as a context manager. Raises BrokerError when Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        self.connection = Connection(settings)
        self._reader = TopicReader(self.connection)

    def __enter__(self) -> "DeadLetters":
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def letters(self) -> Iterator[Letter]:
        """Every letter up to now, notes included, oldest first.

        A letter that a crash wrote twice comes once; its coordinates are remembered for that.
        """
        seen: set[tuple[str, Place, Reason]] = set()
        for record in self._reader.everything(self.connection.topics.dead_letter):
            try:
                rejection = msgspec.json.decode(record.value or b"", type=Rejection)
            except msgspec.DecodeError:
                continue  # somebody else's record
            topic = rejection.topic.removeprefix(self.connection.prefix)
            letter = Letter((record.partition, record.offset), topic, record.key, rejection)
            known = (topic, letter.place, rejection.reason)
            if known not in seen:
                seen.add(known)
                yield letter

    def sent_back(self) -> set[Place]:
        """The coordinates that were sent back, by the notes."""
        return {letter.place for letter in self.letters() if letter.rejection.reason == "sent_back"}

    def original(self, place: Place, topic: str = "raw") -> Original | None:
        """The record at these coordinates of `raw`, or of another topic; None when it is gone.

        Raises InvalidValue for a partition or an offset that the topic never had.
        """
        record = self._reader.record(f"{self.connection.prefix}{topic}", *place)
        if record is None:
            return None
        return Original(place, record.timestamp, record.key, record.value, list(record.headers))
