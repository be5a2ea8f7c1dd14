"""The memory of duplicates out of a real clean topic."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream.clean_tail
from riverrun.kafka import Topics
from riverrun.records import RAW_OFFSET_HEADER, RAW_TIMESTAMP_HEADER, Document, encode
from riverrun.settings import Settings
from stream.clean_tail import CleanTail, Newest, Passed
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


def passed(offset: int, timestamp_ms: int = 0) -> Passed:
    return Passed(offset, timestamp_ms, Fingerprint(offset, ()))


def as_the_learner_reads(offsets: list[int], before: int) -> list[int]:
    kept: list[int] = []
    for offset in offsets:
        if offset < before and (not kept or offset > kept[-1]):
            kept.append(offset)
    return kept


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 9), st.integers(0, 99))
def test_read_backwards_in_pieces_it_is_what_the_learner_reads_forwards(
    runs: list[int], piece: int, before: int
) -> None:
    """runs: records written until a crash, after which the last four are written again."""
    offsets: list[int] = []
    for run in runs:
        first = max(0, offsets[-1] - 3) if offsets else 0
        offsets += range(first, first + run)
    newest = Newest(before)
    for end in range(len(offsets), 0, -piece):
        newest.put_before([passed(offset) for offset in offsets[max(0, end - piece) : end]])
    assert [one.offset for one in newest.kept] == as_the_learner_reads(offsets, before)
    assert newest.num_bytes == len(newest.kept) * ENTRY


def test_a_piece_costs_its_own_records_and_not_those_behind_it() -> None:
    def seconds(num_records: int) -> float:
        log = [passed(offset) for offset in range(num_records)]
        newest = Newest(num_records)
        started = time.process_time()
        for end in range(num_records, 0, -10):
            newest.put_before(log[end - 10 : end])
        return time.process_time() - started

    one, two = (min(seconds(num) for _ in range(5)) for num in (20_000, 40_000))
    assert two < 3 * one + 0.01
