import asyncio
import contextlib
from collections.abc import Callable

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from riverrun.errors import BrokerError, PartitionCountChanged
from riverrun.metrics import StreamMetrics
from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from stream.letter_writer import LetterWriter
from stream.offset_notes import OffsetNotes
from stream.pipeline import Pipeline
from stream.raw_order import RawOrder
from stream.raw_record import RawRecord
from stream.source_labels import MAX_LABELS, OTHER, SourceLabels
from stream.verdicts import Verdicts
from stream.worker import Worker
from stream.writer import Outgoing, Writer
from tests.stream.fakes import FakeEvent, FakeProbe, FakeProducer, FakeTail, events

SETTINGS = StreamSettings(batch_wait_s=0)


def worker(producer: FakeProducer, probe: FakeProbe | None = None) -> Worker:
    metrics = StreamMetrics(CollectorRegistry())
    return Worker(
        SETTINGS,
        metrics,
        RawOrder(lambda _: None, probe or FakeProbe()),
        Verdicts(SETTINGS, metrics, Pipeline(SETTINGS), FakeTail(), OffsetNotes(), no_stored_note),
        Writer(producer, "clean"),
        LetterWriter(Writer(producer, "dead"), metrics.rejections),
        lambda: 1,
        num_partitions=4,
    )


async def no_stored_note(_partition: int) -> str:
    return ""


async def run(worker: Worker, arriving: list[FakeEvent], until: Callable[[], bool]) -> None:
    """Feed the worker until the condition holds, within ten seconds."""
    queue: asyncio.Queue[FakeEvent] = asyncio.Queue()
    for event in arriving:
        queue.put_nowait(event)
    running = asyncio.ensure_future(worker.run(queue))
    try:
        async with asyncio.timeout(10):
            while not until() and not running.done():  # noqa: ASYNC110
                await asyncio.sleep(0)
        await worker.finish()
        await running
    finally:
        running.cancel()


def texts(producer: FakeProducer, partition: int) -> list[str]:
    written = producer.written.get(("clean", partition), [])
    return [msgspec.json.decode(value, type=Document).text for value in written]


def letters(producer: FakeProducer) -> list[Rejection]:
    written = producer.written.get(("dead", 0), [])
    return [msgspec.json.decode(value, type=Rejection) for value in written]


async def test_every_record_is_written_in_order_and_then_acknowledged() -> None:
    producer = FakeProducer()
    arriving = events(0, *(b"%d" % i for i in range(10))) + events(1, b"x", b"", b"y")
    await run(worker(producer), arriving, lambda: all(event.acked for event in arriving))
    assert texts(producer, 0) == [str(i) for i in range(10)]
    assert texts(producer, 1) == ["x", "y"]
    assert [(letter.reason, letter.offset) for letter in letters(producer)] == [("empty", 1)]


async def test_a_write_that_fails_ends_the_worker_and_acknowledges_nothing() -> None:
    producer = FakeProducer()
    arriving = events(0, b"a", b"b", b"c", b"unwritable", b"d", b"e", b"f")
    with pytest.raises(BrokerError, match="does not acknowledge writes to clean/0"):
        await run(worker(producer), arriving, lambda: False)
    assert texts(producer, 0) == ["a", "b", "c"], "nothing may be written after a failed write"
    assert not any(event.acked for event in arriving)


async def test_an_unforeseen_failure_rejects_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaning = Pipeline.clean

    def fragile(self: Pipeline, raw: RawRecord) -> Document | Rejection:
        if raw.value == b"poison":
            raise ZeroDivisionError("so bad")
        return cleaning(self, raw)

    monkeypatch.setattr(Pipeline, "clean", fragile)
    producer = FakeProducer()
    arriving = events(0, b"a", b"poison", b"b")
    await run(worker(producer), arriving, lambda: arriving[-1].acked)
    assert texts(producer, 0) == ["a", "b"]
    (letter,) = letters(producer)
    assert (letter.reason, letter.detail) == ("failed", "ZeroDivisionError: so bad")


async def test_records_from_before_a_rebalance_are_neither_written_nor_acknowledged() -> None:
    producer = FakeProducer()
    stale = events(0, b"stale")
    stale[0].message.generation_id = 0
    fresh = events(0, b"fresh")
    await run(worker(producer), stale + fresh, lambda: fresh[0].acked)
    assert texts(producer, 0) == ["fresh"]
    assert not stale[0].acked


async def test_a_record_seen_twice_is_written_once_and_acknowledged() -> None:
    producer = FakeProducer()
    arriving = [*events(0, b"a", b"b"), *events(0, b"a", b"b", b"c")]
    await run(worker(producer), arriving, lambda: all(event.acked for event in arriving))
    assert texts(producer, 0) == ["a", "b", "c"]


async def test_a_record_that_did_not_reach_us_stops_the_worker_before_the_next() -> None:
    producer = FakeProducer()
    arriving = [*events(0, b"a"), *events(0, b"c", first=2)]
    with pytest.raises(BrokerError, match="raw records 1 to 1 of partition 0"):
        await run(worker(producer, FakeProbe(0, 1, 2)), arriving, lambda: False)
    assert texts(producer, 0) == []


async def test_a_partition_that_was_added_stops_the_worker_before_it_reads_it() -> None:
    producer = FakeProducer()
    arriving = events(4, b"a")
    with pytest.raises(PartitionCountChanged, match="partition 4"):
        await run(worker(producer), arriving, lambda: False)
    assert not producer.written


async def test_a_gap_that_kafka_knows_is_passed() -> None:
    probe = FakeProbe(0, 5, 6)
    order = RawOrder({0: 0, 1: 100}.get, probe)
    order.enter(1)
    assert [await order.admit(0, offset) for offset in (0, 5, 6, 5)] == [True, True, True, False]
    assert probe.num_questions == 1
    assert await order.admit(1, 7), "a topic that was made anew begins below the committed offset"


async def test_a_generation_begins_at_the_committed_offset_again() -> None:
    committed = {0: 0}
    order = RawOrder(committed.get, FakeProbe(3, 4))
    order.enter(1)
    assert [await order.admit(0, offset) for offset in (0, 1, 2)] == [True] * 3
    committed[0] = 1
    order.enter(2)
    assert await order.admit(0, 1), "read again, since the commit had not come that far"


async def test_a_record_that_kafka_finds_too_large_is_rejected_and_the_rest_written() -> None:
    producer = FakeProducer(max_records=5)
    arriving = events(0, b"a", b"b" * 20_000, b"c")
    await run(worker(producer), arriving, lambda: arriving[-1].acked)
    assert texts(producer, 0) == ["a", "c"]
    assert [(letter.reason, letter.offset) for letter in letters(producer)] == [("too_large", 1)]


async def test_a_long_key_does_not_make_a_dead_letter_too_large() -> None:
    producer = FakeProducer()
    arriving = events(0, b"")
    arriving[0].message.key = b"k" * 1_000_000
    await run(worker(producer), arriving, lambda: arriving[0].acked)
    assert len(letters(producer)) == 1


async def test_the_worker_finishes_the_batch_in_hand() -> None:
    producer = FakeProducer()
    release = asyncio.Event()
    arriving = events(0, b"a", b"b")
    slow = worker(producer)
    waiting = slow._documents.write

    async def write(partition: int, records: list[Outgoing]) -> list[int]:
        await release.wait()
        return await waiting(partition, records)

    slow._documents.write = write  # type: ignore[method-assign, assignment]
    queue: asyncio.Queue[FakeEvent] = asyncio.Queue()
    for event in arriving:
        queue.put_nowait(event)
    running = asyncio.ensure_future(slow.run(queue))
    async with asyncio.timeout(10):
        while not queue.empty():  # noqa: ASYNC110
            await asyncio.sleep(0)
    finishing = asyncio.ensure_future(slow.finish())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(finishing), 0.01)
    assert not finishing.done()
    release.set()
    await finishing
    await running
    assert all(event.acked for event in arriving)


def test_sources_beyond_a_hundred_share_a_label() -> None:
    labels = SourceLabels()
    assert [labels.label(f"s{i}") for i in range(MAX_LABELS)] == [f"s{i}" for i in range(100)]
    assert labels.label("one more") == OTHER
    assert labels.label("s3") == "s3"
