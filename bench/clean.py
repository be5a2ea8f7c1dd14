"""Cleaning: records a second of the `prose` profile through the whole worker, held against a bare
faust worker that sends the same records on unread, and two workers against one.

Rounds are interleaved, so that whatever else the machine does falls on all alike. A round's rate is
taken between a fifth of its records and all of them: the workers are warm by then. Runs an embedded
Kafka of its own. Called by `riverrun bench clean`.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.clean_desk import Desk, compare
from bench.clean_records import prose
from riverrun.errors import RiverrunError
from riverrun.settings import KafkaSettings, Settings
from riverrun.settings.load import save_settings
from riverrun.workspace import Workspace

WARM_SHARE = 0.2
ROUND_TIMEOUT_S = 180.0
POLL_S = 0.02
PARTITIONS = 4


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, or two, on all records. cpu_us: processor time of the workers for a record, from
    their start: the load of the machine does not change it."""

    what: str
    records_per_s: float
    cpu_us: float


class Cleaning(msgspec.Struct, frozen=True, kw_only=True):
    """ratio: one worker to bare faust. two_workers: to one. Medians over rounds."""

    records: int
    rounds: int
    records_per_s: float
    ratio: float
    two_workers: float
    bare_faust_records_per_s: float
    two_workers_records_per_s: float
    cpu_us: dict[str, float]
    desk: Desk


def run(num_records: int, num_rounds: int, say: Callable[[str], None]) -> Cleaning:
    """Measure. Raises RiverrunError when a worker does not finish."""
    from riverrun.broker.kafka_process import KafkaProcess

    values = prose(num_records)
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="riverrun-bench-") as scratch:
        place = Path(scratch)
        broker = Settings(data_dir=place / "kafka", kafka=KafkaSettings(heap_mb=512))
        with KafkaProcess(broker) as kafka:
            for number in range(num_rounds):
                for what in ("bare faust", "one worker", "two workers"):
                    prefix = f"b{number}{what.partition(' ')[0]}-"
                    one = _round(place, kafka.address, prefix, what, values)
                    say(f"{what}: {one.records_per_s:,.0f} records/s, {one.cpu_us:.0f} us of CPU")
                    rounds.append(one)
    rate = {what: _median(rounds, what, "records_per_s") for what in {r.what for r in rounds}}
    return Cleaning(
        records=num_records,
        rounds=num_rounds,
        records_per_s=round(rate["one worker"], 1),
        ratio=round(_ratio(rounds, "one worker", "bare faust"), 3),
        two_workers=round(_ratio(rounds, "two workers", "one worker"), 3),
        bare_faust_records_per_s=round(rate["bare faust"], 1),
        two_workers_records_per_s=round(rate["two workers"], 1),
        cpu_us={what: round(_median(rounds, what, "cpu_us"), 1) for what in sorted(rate)},
        desk=compare(values[: min(len(values), 3000)], say),
    )


def _median(rounds: list[Round], what: str, field: str) -> float:
    values: list[float] = [getattr(one, field) for one in rounds if one.what == what]
    return statistics.median(values)


def _ratio(rounds: list[Round], above: str, below: str) -> float:
    """The median of the rounds' own ratios: both of a round ran side by side in time."""
    pairs = zip(
        (one for one in rounds if one.what == above),
        (one for one in rounds if one.what == below),
        strict=True,
    )
    return statistics.median(one.records_per_s / other.records_per_s for one, other in pairs)


def _round(place: Path, servers: str, prefix: str, what: str, values: list[bytes]) -> Round:
    from riverrun.broker.topics import ensure_topics
    from riverrun.kafka import Topics

    kafka = KafkaSettings(bootstrap_servers=servers, topic_prefix=prefix, num_partitions=PARTITIONS)
    settings = Settings(data_dir=place / prefix, kafka=kafka)
    ensure_topics(settings, [servers])
    topics = Topics(prefix)
    _produce(servers, topics.raw, values)
    num_workers = 2 if what == "two workers" else 1
    with contextlib.ExitStack() as stack:
        if what == "bare faust":
            arguments = ["-m", "bench.bare_faust", servers, topics.raw, topics.clean]
            commands = [[*arguments, str(place / prefix / "faust")]]
            workers = [stack.enter_context(_running(command, None)) for command in commands]
        else:
            workers = [
                stack.enter_context(_worker(settings, number)) for number in range(num_workers)
            ]
        rate = _rate(servers, topics.clean, len(values), workers)
        cpu_s = sum(sum(psutil.Process(worker.pid).cpu_times()[:2]) for worker in workers)
    return Round(what=what, records_per_s=rate, cpu_us=cpu_s / len(values) * 1e6)


def _worker(settings: Settings, number: int) -> contextlib.AbstractContextManager[Any]:
    stream = settings.stream.model_copy(update={"profile": "prose"})
    own = settings.model_copy(
        update={"data_dir": settings.data_dir / f"worker-{number}", "stream": stream}
    )
    path = Workspace(own.data_dir).settings_file
    path.parent.mkdir(parents=True, exist_ok=True)
    save_settings(own, path)
    code = (
        "import json, pathlib, sys, stream.main\n"
        "from riverrun.settings import Settings\n"
        "text = pathlib.Path(sys.argv[1]).read_text()\n"
        "stream.main.run(Settings.model_validate(json.loads(text)))\n"
    )
    return _running(["-c", code, str(path)], own.data_dir / "bench.log")


@contextlib.contextmanager
def _running(arguments: list[str], log: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    with contextlib.ExitStack() as stack:
        out: Any = subprocess.DEVNULL if log is None else stack.enter_context(log.open("wb"))
        worker = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=out)
        try:
            yield worker
        finally:
            worker.terminate()
            try:
                worker.wait(timeout=30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def _produce(servers: str, topic: str, values: list[bytes]) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=20, acks=1)
    for number, value in enumerate(values):
        producer.send(topic, value, key=b"bench", partition=number % PARTITIONS)
    producer.flush()
    producer.close()


def _rate(
    servers: str, topic: str, num_records: int, workers: list[subprocess.Popen[bytes]]
) -> float:
    """Records a second from the first fifth to the last; the end of the log is asked, not read."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=servers)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    deadline = time.monotonic() + ROUND_TIMEOUT_S
    warm: tuple[float, int] | None = None
    try:
        while True:
            written = sum(consumer.end_offsets(partitions).values())
            now = time.monotonic()
            if warm is None and written >= WARM_SHARE * num_records:
                warm = (now, written)
            if written >= num_records:
                assert warm is not None
                return float((written - warm[1]) / max(1e-6, now - warm[0]))
            if now > deadline or any(worker.poll() is not None for worker in workers):
                raise RiverrunError(f"{written} of {num_records} records came through, then none")
            time.sleep(POLL_S)
    finally:
        consumer.close()
