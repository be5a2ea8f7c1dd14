"""Text into the river, one at a time, with a receipt for each.

    with riverrun.Producer("127.0.0.1:9092") as producer:
        receipt = producer.send("The night train leaves at nine.", source="timetable")
    client.generate("The night train leaves at", after=receipt)

Any Kafka client may do the same; this one waits for every in-sync replica and hands back the
offset. Many records at once: `riverrun/produce.py`. Knows nothing of servers.
"""

import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from riverrun.errors import InvalidValue
from riverrun.produce import RawProducer, Record
from riverrun.receipt import Receipt
from riverrun.settings import Settings
from riverrun.settings.load import load_settings

TEXT, JSON = "text/plain", "application/json"


class Producer:
    """A connection to the raw topic; safe to share between threads."""

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        *,
        data_dir: str | Path | None = None,
        topic_prefix: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        """
        bootstrap_servers: `host:port,…`; by default that of the system in `data_dir`, which is
          where its credentials come from, too. settings: instead of all three.

        Raises:
            NotRunning: no Kafka is named and none runs in the data directory.
            BrokerError: it does not answer.
        """
        if settings is None:
            given = {
                "kafka.bootstrap_servers": bootstrap_servers,
                "kafka.topic_prefix": topic_prefix,
            }
            settings = load_settings(
                None if data_dir is None else Path(data_dir),
                overrides={name: value for name, value in given.items() if value is not None},
                running=True,
            )
        self._producer = RawProducer(settings)
        self._lock = threading.Lock()

    def send(
        self,
        text: str,
        *,
        source: str | None = None,
        id: str | None = None,
        timestamp: datetime | None = None,
        language: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Send one text and wait until Kafka has it; where it is.

        source: where it is from; learned and counted by it. id, timestamp, language: of the
        document. key: texts of one key stay in order.

        Raises:
            InvalidValue: an empty text, a timestamp without a zone, a record that is too large.
            BrokerError: Kafka does not take it.
        """
        if not text:
            raise InvalidValue("text", text, "at least one character")
        if timestamp is not None and timestamp.tzinfo is None:
            raise InvalidValue("timestamp", timestamp, "a time with a zone")
        fields: dict[str, Any] = {
            "id": id,
            "timestamp": None if timestamp is None else timestamp.isoformat(),
            "language": language,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        record = Record(
            json.dumps({"text": text, **given}).encode() if given else text.encode(),
            source=source,
            key=None if key is None else key.encode(),
            content_type=JSON if given else TEXT,
        )
        with self._lock:
            return self._producer.place(record)

    def close(self) -> None:
        self._producer.__exit__(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._producer.__exit__(kind, *rest)
