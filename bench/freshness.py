"""Freshness: from a record acknowledged by Kafka to the first token from weights that learned it.

One record at a time, sent when nothing waits, to a running system of its own. Not compared with
anybody: it is our own promise.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.streams import percentile
from riverrun.answers import Status
from riverrun.client import Client
from riverrun.errors import RiverrunError
from riverrun.produce import RawProducer, Receipt, Record
from riverrun.settings import Settings
from riverrun.status import Observer
from riverrun.supervisor import System
from riverrun.workspace import Workspace

SERVED_WITHIN_S = 120.0
POLL_S = 0.005


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, over those of `records` records whose version was promoted. held: the others; they
    are served with the text that comes after them."""

    model: str
    records: int
    held: int
    p50_s: float
    p95_s: float
    max_s: float


def run(
    settings: Settings, num_records: int, on_record: Callable[[int, float | None], None]
) -> Freshness:
    """Measure on a fresh system of `settings`, in a temporary data directory."""
    seconds: list[float] = []
    with tempfile.TemporaryDirectory(prefix="riverrun-bench-") as scratch:
        settings = settings.model_copy(update={"data_dir": Path(scratch) / "data"})
        with System(settings) as system:
            system.wait_ready()
            address = Workspace(settings.data_dir).wait_ready("serving", 10).address
            assert address is not None, "a ready server has an address"
            with (
                Client(address, timeout_s=60) as client,
                RawProducer(settings) as producer,
                Observer(settings) as observer,
            ):
                for number in range(num_records):
                    _await_idle(observer)
                    took_s = _one(client, producer, observer, number)
                    on_record(number, took_s)
                    seconds += [] if took_s is None else [took_s]
    if not seconds:
        raise RiverrunError("the gate held each record's version: nothing to tell of")
    return Freshness(
        model=settings.model,
        records=num_records,
        held=num_records - len(seconds),
        p50_s=round(statistics.median(seconds), 3),
        p95_s=round(percentile(seconds, 0.95), 3),
        max_s=round(max(seconds), 3),
    )


def _one(client: Client, producer: RawProducer, observer: Observer, number: int) -> float | None:
    """Send one record; seconds from its acknowledgement to the first token that knows it. None when
    the gate held its version, and with nothing following it none was served."""
    text = (
        f"Bulletin {number}: the river at gauge {number % 7} stands at {100 + number} centimetres."
    )
    before, held_before = dict(_reach(producer.receipt)), _num_held(observer)
    producer.send(Record(text.encode(), source="bench"))
    producer.flush()
    acknowledged = time.monotonic()
    [(partition, offset)] = set(_reach(producer.receipt).items()) - set(before.items())
    deadline = acknowledged + SERVED_WITHIN_S
    while not _covers(client.status(), partition, offset):
        if time.monotonic() > deadline:
            if _num_held(observer) > held_before:
                return None
            raise RiverrunError(
                f"offset {offset} of partition {partition} was not served "
                f"within {SERVED_WITHIN_S:g} s"
            )
        time.sleep(POLL_S)
    answer = client.generate(text[:10], max_tokens=1)
    first_token = time.monotonic()
    assert answer.version.next_offsets.get(partition, 0) > offset, "served weights went back"
    return first_token - acknowledged


def _num_held(observer: Observer) -> int:
    learner = observer.look().learner
    return 0 if learner is None else learner.versions.get("held", 0)


def _reach(receipt: Receipt) -> dict[int, int]:
    return {partition: span.last for partition, span in receipt.partitions.items()}


def _covers(status: Status, partition: int, offset: int) -> bool:
    return status.version is not None and status.version.next_offsets.get(partition, 0) > offset


def _await_idle(observer: Observer) -> None:
    deadline = time.monotonic() + SERVED_WITHIN_S
    while True:
        learner = observer.look().learner
        if learner is not None and learner.has_learned_all:
            return
        if time.monotonic() > deadline:
            raise RiverrunError(f"the learner was not idle within {SERVED_WITHIN_S:g} s")
        time.sleep(0.05)
