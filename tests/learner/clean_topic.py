"""Puts clean documents into Kafka as the stream does."""

from collections.abc import Iterable
from typing import Any

from kafka import KafkaProducer

from riverrun.kafka import Topics
from riverrun.records import RAW_OFFSET_HEADER, RAW_TIMESTAMP_HEADER, Document, encode
from riverrun.settings import Settings


class CleanTopic:
    """The clean topic of one system, to be written to."""

    def __init__(self, settings: Settings) -> None:
        self.name = Topics(settings.kafka.topic_prefix).clean
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka.bootstrap_servers, reconnect_backoff_max_ms=500
        )

    def put(self, partition: int, raw_offset: int, text: str | None = None) -> int:
        """One document; gives its clean offset."""
        text = text if text is not None else f"document {raw_offset} of partition {partition}"
        document = Document(text=text, source=f"s{partition}", timestamp_ms=1)
        headers = [
            (RAW_OFFSET_HEADER, str(raw_offset).encode()),
            (RAW_TIMESTAMP_HEADER, str(1000 + raw_offset).encode()),
        ]
        return self.put_bytes(partition, encode(document), headers)

    def put_bytes(
        self, partition: int, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()
    ) -> int:
        sent = self._producer.send(
            self.name, key=b"k", value=value, partition=partition, headers=list(headers)
        )
        acknowledged: Any = sent.get(timeout=30)
        return int(acknowledged.offset)

    def close(self) -> None:
        self._producer.close()
