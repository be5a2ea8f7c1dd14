"""The memory of duplicates out of a real clean topic."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import stream.clean_tail
from riverrun.kafka import Topics
from riverrun.records import RAW_OFFSET_HEADER, RAW_TIMESTAMP_HEADER, Document, encode
from riverrun.settings import Settings
from stream.clean_tail import CleanTail
from stream.duplicates import cost
from stream.stages.fingerprint import Fingerprint, exact_fingerprint

ENTRY = cost((1,))
DAY_MS = 86_400_000.0


@pytest.fixture
def write(kafka_settings: Settings) -> Iterator[Any]:
    """Write clean records of partition 1 by raw offset and time; what is no document is none."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka_settings.kafka.bootstrap_servers)
    clean = Topics(kafka_settings.kafka.topic_prefix).clean

    def send(*offsets: int, timestamp_ms: int = 0) -> None:
        for offset in offsets:
            document = Document(text=f"text {offset}", source="a", timestamp_ms=0)
            headers = [
                (RAW_OFFSET_HEADER, b"%d" % offset),
                (RAW_TIMESTAMP_HEADER, b"%d" % timestamp_ms),
            ]
            producer.send(clean, encode(document), headers=headers, partition=1)
        producer.send(clean, b"not ours", partition=1)
        producer.flush()

    yield send
    producer.close()


async def tail_of(
    settings: Settings, before: int, num_entries: int, skip: frozenset[int] = frozenset()
) -> list[int]:
    def of(document: Document) -> Fingerprint | None:
        number = int(document.text.split()[1])
        return None if number in skip else exact_fingerprint(document.text)

    assert settings.kafka.bootstrap_servers is not None
    clean = Topics(settings.kafka.topic_prefix).clean
    tail = CleanTail(settings.kafka, [settings.kafka.bootstrap_servers], clean, of)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(tail.close)
        found = await tail.read(1, before, num_entries * ENTRY, DAY_MS)
    return [one.offset for one in found]


async def test_the_newest_documents_below_the_offset_come_once_and_in_order(
    kafka_settings: Settings, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.clean_tail, "PIECE_RECORDS", 4)
    write(*range(10))
    write(*range(7, 20))  # a crash before the commit
    assert await tail_of(kafka_settings, 15, 1000) == list(range(15))
    newest = await tail_of(kafka_settings, 15, 3)
    assert newest == list(range(newest[0], 15))
    assert 3 <= len(newest) < 12, "in pieces, and no more of them than are needed"


async def test_texts_that_nobody_compares_do_not_make_it_read_everything(
    kafka_settings: Settings, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.clean_tail, "PIECE_RECORDS", 4)
    monkeypatch.setattr(stream.clean_tail, "SPAN_OFFSETS", 10)
    write(*range(50))
    found = await tail_of(kafka_settings, 50, 1000, skip=frozenset(range(30, 50)))
    assert found == [], "the span ends before the first that is compared"
    found = await tail_of(kafka_settings, 50, 1000, skip=frozenset(range(45, 50)))
    assert found[-1] == 44
    assert found[0] > 30


async def test_a_new_system_has_nothing_to_remember(kafka_settings: Settings) -> None:
    assert await tail_of(kafka_settings, 0, 1000) == []
