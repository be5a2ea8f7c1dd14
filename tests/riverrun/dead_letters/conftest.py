from collections.abc import Iterator

import pytest

from riverrun.dead_letters.letters import DeadLetters
from riverrun.kafka import Topics
from riverrun.records import Reason, Rejection, encode
from riverrun.settings import Settings
from tests.riverrun.dead_letters.desk import BAD


@pytest.fixture
def letters(kafka_settings: Settings) -> Iterator[DeadLetters]:
    """Two bad records and a good one between them; the bad ones have their letters."""
    from kafka import KafkaProducer

    topics = Topics(kafka_settings.kafka.topic_prefix)
    producer = KafkaProducer(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    records: list[tuple[bytes, Reason | None]] = [
        (BAD, "bad_field"),
        (b"Good text.", None),
        (b"\xff", "not_utf8"),
    ]
    for value, reason in records:
        at = producer.send(topics.raw, value, key=b"k", headers=[("source", b"ferry")]).get(10)
        if reason is not None:
            letter = Rejection(
                reason=reason,
                detail="as it is",
                topic=topics.raw,
                partition=at.partition,
                offset=at.offset,
                num_bytes=len(value),
                head=value,
                timestamp_ms=at.timestamp,
                source="ferry",
            )
            for _ in range(2):  # as a crash before the commit would leave it
                producer.send(topics.dead_letter, encode(letter), key=b"k").get(10)
    producer.close()
    with DeadLetters(kafka_settings) as letters:
        yield letters
