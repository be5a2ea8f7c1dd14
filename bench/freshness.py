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
    """Seconds, over `records` records."""

    model: str
    records: int
    p50_s: float
    p95_s: float
    max_s: float


def run(settings: Settings, num_records: int, on_record: Callable[[int, float], None]) -> Freshness:
    """Measure on a fresh system of `settings`, in a temporary data directory."""
    seconds = []
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
                    seconds.append(_one(client, producer, number))
                    on_record(number, seconds[-1])
    return Freshness(
        model=settings.model,
        records=num_records,
        p50_s=round(statistics.median(seconds), 3),
        p95_s=round(sorted(seconds)[max(0, -(-95 * num_records // 100) - 1)], 3),
        max_s=round(max(seconds), 3),
    )


def _one(client: Client, producer: RawProducer, number: int) -> float:
    """Send one record; seconds from its acknowledgement to the first token that knows it."""
    text = (
        f"Bulletin {number}: the river at gauge {number % 7} stands at {100 + number} centimetres."
    )
    before = dict(_reach(producer.receipt))
    producer.send(Record(text.encode(), source="bench"))
    producer.flush()
    acknowledged = time.monotonic()
    [(partition, offset)] = set(_reach(producer.receipt).items()) - set(before.items())
    deadline = acknowledged + SERVED_WITHIN_S
    while not _covers(client.status(), partition, offset):
        if time.monotonic() > deadline:
            raise RiverrunError(
                f"offset {offset} of partition {partition} was not served "
                f"within {SERVED_WITHIN_S:g} s"
            )
        time.sleep(POLL_S)
    answer = client.generate(text[:10], max_tokens=1)
    first_token = time.monotonic()
    assert answer.version.next_offsets.get(partition, 0) > offset, "served weights went back"
    return first_token - acknowledged


def _reach(receipt: Receipt) -> dict[int, int]:
    return {partition: span.last for partition, span in receipt.partitions.items()}


def _covers(status: Status, partition: int, offset: int) -> bool:
    return status.version is not None and status.version.next_offsets.get(partition, 0) > offset


def _await_idle(observer: Observer) -> None:
    deadline = time.monotonic() + SERVED_WITHIN_S
    while True:
        learner = observer.look().learner
        if learner is not None and learner.total_lag == 0 and learner.due_documents == 0:
            return
        if time.monotonic() > deadline:
            raise RiverrunError(f"the learner was not idle within {SERVED_WITHIN_S:g} s")
        time.sleep(0.05)
