"""Stand-ins for what the worker sees of faust and aiokafka."""

from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from stream.clean_tail import Passed


@dataclass
class FakeMessage:
    partition: int
    offset: int
    value: bytes | None
    generation_id: int = 1
    topic: str = "raw"
    timestamp: float = 1.7e9
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class FakeEvent:
    def __init__(self, message: FakeMessage) -> None:
        self.message = message
        self.value = message.value
        self.acked = False

    def ack(self) -> None:
        self.acked = True


def events(partition: int, *values: bytes | None, first: int = 0) -> list[FakeEvent]:
    return [
        FakeEvent(FakeMessage(partition, first + index, value))
        for index, value in enumerate(values)
    ]


class FakeBatch:
    def __init__(self, max_records: int) -> None:
        self.max_records = max_records
        self.records: list[bytes] = []
        self.headers: list[Any] = []

    def append(self, *, value: bytes, headers: Any, **_: object) -> object:
        if len(self.records) == self.max_records:
            return None
        self.records.append(value)
        self.headers.append(headers)
        return object()

    def close(self) -> None:
        pass


class FakeProducer:
    """Keeps what it takes; refuses a batch above `max_bytes`, fails on one with b"unwritable"."""

    def __init__(self, max_records: int = 3, max_bytes: int = 10_000) -> None:
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.written: dict[tuple[str, int], list[bytes]] = {}

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self.max_records)

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> Any:
        async def acknowledged() -> None:
            if any(len(record) > self.max_bytes for record in batch.records):
                raise MessageSizeTooLargeError
            if any(b"unwritable" in record for record in batch.records):
                raise KafkaTimeoutError
            self.written.setdefault((topic, partition), []).extend(batch.records)

        return acknowledged()


class FakeTail:
    """The end of `clean`: what was let through before this worker came."""

    def __init__(self, *passed: Passed) -> None:
        self.passed = passed
        self.num_questions = 0

    async def read(
        self, _partition: int, before: int, _enough_bytes: int, _window_ms: float
    ) -> list[Passed]:
        self.num_questions += 1
        return [one for one in self.passed if one.offset < before]


class FakeProbe:
    """Knows the offsets that a partition really has."""

    def __init__(self, *offsets: int) -> None:
        self.offsets = offsets
        self.num_questions = 0

    async def first_offset(self, _partition: int, offset: int) -> int:
        self.num_questions += 1
        return min(there for there in self.offsets if there >= offset)
