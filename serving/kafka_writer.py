"""Records to Kafka from the event loop: the caller goes on when every in-sync replica has his.

kafka-python works on threads of its own; nothing here blocks the loop. The producer is made at the
first record and again after a failure; while that is tried, all callers wait for one attempt. Knows
nothing of what the records mean. Called by `serving/services/feedback.py` and `admin.py`.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from riverrun.errors import BrokerError, InvalidValue, RiverrunError
from riverrun.kafka import bootstrap_servers, client_options, why
from riverrun.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaProducer

PATIENCE_S = 5.0
"""How long Kafka may be away before the caller is told to come again."""

log = logging.getLogger(__name__)


class KafkaWriter:
    """An idempotent producer with acks=all, for a few small records a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-writer")
        self._producer: KafkaProducer | None = None
        self._connecting: asyncio.Task[KafkaProducer] | None = None

    async def write(self, topic: str, key: str, value: bytes) -> tuple[int, int]:
        """The partition and the offset of the record, once it is acknowledged.

        Raises:
            BrokerError: Kafka is away or refuses; the record may be there all the same.
            InvalidValue: the record is larger than Kafka takes.
            NotRunning: no Kafka is named, and the embedded one does not run.
        """
        from kafka.errors import KafkaError, MessageSizeTooLargeError

        producer = await self._connected()
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[Any] = loop.create_future()

        def settle(metadata: Any, error: BaseException | None) -> None:
            if acknowledged.done():
                return
            if error is None:
                acknowledged.set_result((metadata.partition, metadata.offset))
            else:
                acknowledged.set_exception(error)

        def send() -> None:
            future = producer.send(topic, value, key=key.encode())
            future.add_callback(lambda found: loop.call_soon_threadsafe(settle, found, None))
            future.add_errback(lambda error: loop.call_soon_threadsafe(settle, None, error))

        try:
            await loop.run_in_executor(self._thread, send)
            place: tuple[int, int] = await acknowledged
        except MessageSizeTooLargeError as error:
            allowed = "what one record may hold (kafka.max_record_bytes)"
            raise InvalidValue("request", f"{len(value)} bytes", allowed) from error
        except KafkaError as error:
            raise self._away(topic, error) from error
        return place

    async def close(self) -> None:
        """Send what is still waiting, within the patience."""
        if self._connecting is not None:
            self._connecting.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            await asyncio.to_thread(producer.close, timeout=PATIENCE_S)
        self._thread.shutdown(wait=False)

    async def _connected(self) -> "KafkaProducer":
        if self._producer is not None:
            return self._producer
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(asyncio.to_thread(self._connect))
        # A caller that goes does not end the attempt that others wait for.
        self._producer = await asyncio.shield(self._connecting)
        return self._producer

    def _connect(self) -> "KafkaProducer":
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        servers = bootstrap_servers(self._settings, 0.0)
        patience_ms = int(PATIENCE_S * 1000)
        try:
            return KafkaProducer(
                **client_options(self._settings.kafka, servers),
                acks="all",
                enable_idempotence=True,
                max_request_size=self._settings.kafka.max_record_bytes,
                request_timeout_ms=patience_ms,
                bootstrap_timeout_ms=patience_ms,
                max_block_ms=patience_ms,
                delivery_timeout_ms=2 * patience_ms,
                allow_auto_create_topics=False,
            )
        except (KafkaError, OSError) as error:
            raise self._away(", ".join(servers), error) from error

    def _away(self, what: str, error: Exception) -> RiverrunError:
        return BrokerError(f"Kafka ({what}): {why(self._settings.kafka, error)}")
