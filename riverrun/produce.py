"""Records to the raw topic, and a receipt for every one that Kafka has acknowledged.

    receipt = produce(settings, [Record(b"Some text.", source="diary")])
    receipt.partitions[2].first        # where it is

Knows nothing of what the bytes mean. Called by `riverrun produce`, the demo, the bench and tests.
kafka-python is imported when something is sent.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from riverrun.errors import BrokerError, InvalidValue
from riverrun.kafka import Topics, bootstrap_servers, client_options, why
from riverrun.receipt import Acknowledged, Receipt
from riverrun.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaProducer

__all__ = ["Acknowledged", "RawProducer", "Receipt", "Record", "produce"]

MAX_WAITING_RECORDS = 20_000
MAX_WAITING_BYTES = 64 * 2**20
"""Sent and not yet acknowledged, at most: kafka-python would buffer a whole file."""

FIND_BROKER_S = 10.0
"""A broker that is up is found at once; this long we wait for one that just restarts."""

INTERRUPTED_S = 2.0

DELIVERY_S = 120.0
"""How long a record is sent again while Kafka is away: longer than a restart takes."""


@dataclass(frozen=True, slots=True)
class Record:
    """A raw record. Equal keys stay in order, on one partition; no key: any partition."""

    value: bytes
    source: str | None = None
    key: bytes | None = None
    content_type: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        named = {"source": self.source, "content-type": self.content_type}
        return [(name, value.encode()) for name, value in named.items() if value is not None]


def produce(settings: Settings, records: Iterable[Record]) -> Receipt:
    """Send all of `records` to the raw topic and wait until each is acknowledged.

    Raises NotRunning when no broker is there, BrokerError when it does not answer or refuses,
    InvalidValue for a record that is too large.
    """
    with RawProducer(settings) as producer:
        for record in records:
            producer.send(record)
    return producer.receipt


class RawProducer:
    """An idempotent producer to the raw topic. Leaving its block waits for what was sent.

    on_ack: called with the receipt when records have been acknowledged.
    """

    def __init__(self, settings: Settings, on_ack: Callable[[Receipt], None] | None = None) -> None:
        self._settings = settings
        self._on_ack = on_ack
        self._servers = bootstrap_servers(settings, FIND_BROKER_S)
        self._waiting: deque[tuple[Any, int]] = deque()
        self._waiting_bytes = 0
        self._num_sent = 0
        self.receipt = Receipt(Topics(settings.kafka.topic_prefix).raw)
        self._producer = self._connect()

    def __enter__(self) -> "RawProducer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None or issubclass(kind, Exception):
                self.flush()
            else:
                self._flush_within(INTERRUPTED_S)
        finally:
            self._producer.close(timeout=0 if self._waiting else 5)

    def send(self, record: Record) -> None:
        """Send one record; waits only while too much is not yet acknowledged."""
        from kafka.errors import KafkaError, MessageSizeTooLargeError

        self._num_sent += 1
        try:
            future = self._producer.send(
                self.receipt.topic, record.value, key=record.key, headers=record.headers()
            )
        except MessageSizeTooLargeError:
            self._too_large(self._num_sent, len(record.value))
        except KafkaError as error:
            self._fail(error)
        self._waiting.append((future, len(record.value)))
        self._waiting_bytes += len(record.value)
        while (
            len(self._waiting) > MAX_WAITING_RECORDS or self._waiting_bytes > MAX_WAITING_BYTES
        ) or (self._waiting and self._waiting[0][0].is_done):
            self._await_oldest()

    def place(self, record: Record) -> Receipt:
        """Send one record and wait for it; its own receipt. It counts in `receipt`, too."""
        self.flush()
        whole, self.receipt = self.receipt, Receipt(self.receipt.topic)
        try:
            self.send(record)
            self.flush()
        finally:
            own, self.receipt = self.receipt, whole
        whole.add(own.partition, own.offset)
        return own

    def flush(self) -> None:
        """Wait until everything sent is acknowledged."""
        while self._waiting:
            self._await_oldest()

    def _flush_within(self, timeout_s: float) -> None:
        """Take what is acknowledged in time: after Ctrl-C nobody waits for a Kafka that is away."""
        from kafka.errors import KafkaTimeoutError

        with contextlib.suppress(KafkaTimeoutError):
            self._producer.flush(timeout=timeout_s)
        while self._waiting and self._waiting[0][0].is_done:
            self._await_oldest()

    def _connect(self) -> "KafkaProducer":
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        kafka = self._settings.kafka
        timeout_ms = int(kafka.request_timeout_s * 1000)
        try:
            return KafkaProducer(
                **client_options(kafka, self._servers),
                acks="all",
                enable_idempotence=True,
                compression_type=None if kafka.compression == "none" else kafka.compression,
                linger_ms=2,
                batch_size=131_072,
                max_request_size=kafka.max_record_bytes,
                request_timeout_ms=timeout_ms,
                bootstrap_timeout_ms=timeout_ms,
                max_block_ms=timeout_ms,
                delivery_timeout_ms=max(int(DELIVERY_S * 1000), 2 * timeout_ms),
                allow_auto_create_topics=False,
            )
        except (KafkaError, OSError) as error:
            self._fail(error)

    def _await_oldest(self) -> None:
        from kafka.errors import KafkaError, MessageSizeTooLargeError

        future, num_bytes = self._waiting.popleft()
        self._waiting_bytes -= num_bytes
        try:
            metadata = future.get()  # ends by itself: delivery_timeout_ms
        except MessageSizeTooLargeError:
            self._too_large(self._num_sent - len(self._waiting), num_bytes)
        except KafkaError as error:
            self._fail(error)
        self.receipt.add(metadata.partition, metadata.offset)
        if self._on_ack is not None:
            self._on_ack(self.receipt)

    def _too_large(self, number: int, num_bytes: int) -> NoReturn:
        limit = self._settings.kafka.max_record_bytes
        raise InvalidValue(
            f"record {number}",
            f"{num_bytes} bytes",
            f"at most {limit} with its headers (kafka.max_record_bytes, and the topic's own limit)",
        ) from None

    def _fail(self, error: Exception) -> NoReturn:
        reason = why(self._settings.kafka, error)
        raise BrokerError(
            f"Kafka at {', '.join(self._servers)} does not take records for "
            f"`{self.receipt.topic}`: {reason} ({self.receipt.num_records} were acknowledged)"
        ) from error
