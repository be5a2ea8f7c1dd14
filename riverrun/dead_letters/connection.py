"""The Kafka of one system, as dead letters need it: a consumer, a producer, one kind of error.

Knows nothing of letters. Called by all files beside it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from riverrun.errors import BrokerError
from riverrun.kafka import Topics, bootstrap_servers, client_options, why
from riverrun.settings import Settings

FIND_BROKER_S = 10.0


class Connection:
    """See the module. Nothing is opened before it is asked for."""

    def __init__(self, settings: Settings) -> None:
        """Raises NotRunning when there is no Kafka."""
        self._kafka = settings.kafka
        self._servers = bootstrap_servers(settings, FIND_BROKER_S)
        self.prefix = settings.kafka.topic_prefix
        self.topics = Topics(self.prefix)
        self.timeout_s = settings.kafka.request_timeout_s

    @property
    def _timeout_ms(self) -> int:
        return int(self.timeout_s * 1000)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Let what Kafka's clients raise within be a BrokerError."""
        from kafka.errors import KafkaError

        try:
            yield
        except (KafkaError, OSError) as error:
            reason = why(self._kafka, error)
            raise BrokerError(
                f"Kafka at {', '.join(self._servers)} does not answer: {reason}"
            ) from error

    def consumer(self) -> Any:
        """In no group; sees what is committed. Raises BrokerError."""
        from kafka import KafkaConsumer

        with self.answering():
            return KafkaConsumer(
                **client_options(self._kafka, self._servers),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                bootstrap_timeout_ms=self._timeout_ms,
                max_partition_fetch_bytes=max(1_048_576, self._kafka.max_record_bytes),
            )

    def producer(self, transactional_id: str | None = None) -> Any:
        """Raises BrokerError."""
        from kafka import KafkaProducer

        with self.answering():
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
