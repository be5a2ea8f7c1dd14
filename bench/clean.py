"""Cleaning: records a second of the `prose` profile through the whole worker, held against a bare
faust worker that sends the same records on unread, and two workers against one.

Rounds are interleaved, so that whatever else the machine does falls on all alike. All records lie
in one transaction, which is committed when the workers have their partitions: none has a start on
the other. A round's rate is taken between a fifth of its records and all of them: the workers are
warm by then. Runs an embedded Kafka of its own. Called by `riverrun bench clean`.
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
from riverrun.kafka import Topics
from riverrun.settings import KafkaSettings, Settings
from riverrun.settings.load import save_settings
from riverrun.workspace import Workspace

WARM_SHARE = 0.2
ROUND_TIMEOUT_S = 180.0
POLL_S = 0.05
PARTITIONS = 4

WORKER = """
import json, pathlib, sys, stream.main
from riverrun.settings import Settings
text = pathlib.Path(sys.argv[1]).read_text()
stream.main.run(Settings.model_validate(json.loads(text)))
"""
"""A stream process, of the settings in the file that is its argument."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, or two, on all records. cpu_us: processor time of the workers for a record, once
    warm: what else the machine does changes it little. kafka_cpu_us: Kafka's, of the same ones."""

    what: str
    records_per_s: float
    cpu_us: float
    kafka_cpu_us: float


class Cleaning(msgspec.Struct, frozen=True, kw_only=True):
    """ratio: one worker to bare faust. two_workers: to one. Medians over rounds.

    two_workers_bound: what `two_workers` comes to when nothing but workers and Kafka uses two
    cores, by their processor time; on a busy machine the only one of the two that says something.
    """

    records: int
    rounds: int
    records_per_s: float
    ratio: float
    two_workers: float
    two_workers_bound: float
    bare_faust_records_per_s: float
    two_workers_records_per_s: float
    cpu_us: dict[str, float]
    kafka_cpu_us: dict[str, float]
    desk: Desk


def run(
    num_records: int, num_rounds: int, desk_values: list[bytes] | None, say: Callable[[str], None]
) -> Cleaning:
    """Measure. desk_values: records for the comparison at the desk; None: some of the same.

    Raises RiverrunError when a worker does not finish.
    """
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
                    one = _round(place, kafka, prefix, what, values)
                    say(
                        f"{what}: {one.records_per_s:,.0f} records/s, {one.cpu_us:.0f} us of CPU"
                        f", Kafka {one.kafka_cpu_us:.0f}"
                    )
                    rounds.append(one)
    rate = {what: _median(rounds, what, "records_per_s") for what in {r.what for r in rounds}}
    cpu = {what: _median(rounds, what, "cpu_us") for what in sorted(rate)}
    kafka_cpu = _median(rounds, "two workers", "kafka_cpu_us")
    return Cleaning(
        records=num_records,
        rounds=num_rounds,
        records_per_s=round(rate["one worker"], 1),
        ratio=round(_ratio(rounds, "one worker", "bare faust"), 3),
        two_workers=round(_ratio(rounds, "two workers", "one worker"), 3),
        two_workers_bound=round(2 * cpu["one worker"] / (cpu["two workers"] + kafka_cpu), 3),
        bare_faust_records_per_s=round(rate["bare faust"], 1),
        two_workers_records_per_s=round(rate["two workers"], 1),
        cpu_us={what: round(us, 1) for what, us in cpu.items()},
        kafka_cpu_us={
            what: round(_median(rounds, what, "kafka_cpu_us"), 1) for what in sorted(rate)
        },
        desk=compare(values[:3000] if desk_values is None else desk_values, say),
    )


def _median(rounds: list[Round], what: str, field: str) -> float:
    return float(statistics.median(getattr(one, field) for one in rounds if one.what == what))


def _ratio(rounds: list[Round], above: str, below: str) -> float:
    """The median of the rounds' own ratios: both of a round ran side by side in time."""
    pairs = zip(
        (one for one in rounds if one.what == above),
        (one for one in rounds if one.what == below),
        strict=True,
    )
    return statistics.median(one.records_per_s / other.records_per_s for one, other in pairs)


def _round(place: Path, kafka: Any, prefix: str, what: str, values: list[bytes]) -> Round:
    """One round on topics of its own. kafka: the `KafkaProcess`."""
    from riverrun.broker.topics import ensure_topics

    servers = kafka.address
    settings = Settings(
        data_dir=place / prefix,
        kafka=KafkaSettings(
            bootstrap_servers=servers, topic_prefix=prefix, num_partitions=PARTITIONS
        ),
    )
    ensure_topics(settings, [servers])
    topics = Topics(prefix)
    with contextlib.ExitStack() as stack:
        commit = stack.enter_context(_transaction(servers, topics.raw, values))
        if what == "bare faust":
            arguments = ["-m", "bench.bare_faust", servers, topics.raw, topics.clean]
            log = place / prefix / "faust.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            command = [*arguments, str(place / prefix / "faust")]
            workers = [stack.enter_context(_running(command, log))]
        else:
            num_workers = 2 if what == "two workers" else 1
            own = [_own_settings(settings, number) for number in range(num_workers)]
            workers = [stack.enter_context(_worker(one)) for one in own]
            _wait_for_partitions(own, workers, PARTITIONS // num_workers)
        commit()
        rate, cpu_us, kafka_cpu_us = _rate(kafka, topics, len(values), workers)
    return Round(what=what, records_per_s=rate, cpu_us=cpu_us, kafka_cpu_us=kafka_cpu_us)


def _cpu_s(pids: list[int]) -> float:
    return float(sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids))


def _own_settings(settings: Settings, number: int) -> Settings:
    stream = settings.stream.model_copy(update={"profile": "prose"})
    return settings.model_copy(
        update={"data_dir": settings.data_dir / f"worker-{number}", "stream": stream}
    )


def _worker(settings: Settings) -> contextlib.AbstractContextManager[Any]:
    path = Workspace(settings.data_dir).settings_file
    path.parent.mkdir(parents=True, exist_ok=True)
    save_settings(settings, path)
    return _running(["-c", WORKER, str(path)], settings.data_dir / "bench.log")


def _wait_for_partitions(
    settings: list[Settings], workers: list[subprocess.Popen[bytes]], num_each: int
) -> None:
    """Until every worker says that it is ready with as many partitions."""
    deadline = time.monotonic() + ROUND_TIMEOUT_S
    wanted = f"{num_each} partitions"
    while True:
        found = [Workspace(one.data_dir).record("stream") for one in settings]
        told = [one.detail if one and one.state == "ready" else "not ready" for one in found]
        if all(one == wanted for one in told):
            return
        if time.monotonic() > deadline or any(worker.poll() is not None for worker in workers):
            raise RiverrunError(f"the workers say {told}, each was to have {wanted}")
        time.sleep(POLL_S)


@contextlib.contextmanager
def _running(arguments: list[str], log_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log_file.open("wb") as log:
        worker = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log)
        try:
            yield worker
        except RiverrunError as error:
            last = log_file.read_text(errors="replace").splitlines()[-3:]
            raise RiverrunError("\n".join([str(error), *last])) from error
        finally:
            worker.terminate()
            try:
                worker.wait(timeout=30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextlib.contextmanager
def _transaction(servers: str, topic: str, values: list[bytes]) -> Iterator[Callable[[], None]]:
    """The records as they lie in Kafka, evenly on all partitions; what is given makes them seen by
    who reads what was committed."""
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=servers,
        linger_ms=20,
        transactional_id=f"{topic}-bench",
        transaction_timeout_ms=int(ROUND_TIMEOUT_S * 1000),
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        for number, value in enumerate(values):
            producer.send(topic, value, key=b"bench", partition=number % PARTITIONS)
        producer.flush()
        yield producer.commit_transaction
    finally:
        producer.close()


def _rate(
    kafka: Any, topics: Topics, num_records: int, workers: list[subprocess.Popen[bytes]]
) -> tuple[float, float, float]:
    """Records a second, and for one in us the CPU of the workers and of Kafka, from the first fifth
    to the last.

    Documents and rejections count. The ends of the logs are asked for, nothing is read.
    """
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=kafka.address)
    pids = [worker.pid for worker in workers]
    partitions = [TopicPartition(topics.clean, number) for number in range(PARTITIONS)]
    partitions.append(TopicPartition(topics.dead_letter, 0))
    deadline = time.monotonic() + ROUND_TIMEOUT_S
    warm: tuple[float, int, float, float] | None = None
    try:
        while True:
            written = sum(consumer.end_offsets(partitions).values())
            now = time.monotonic()
            if warm is None and written >= WARM_SHARE * num_records:
                warm = (now, written, _cpu_s(pids), _cpu_s([kafka.pid]))
            if written >= num_records:
                assert warm is not None
                num = max(1, written - warm[1])
                us = 1e6 / num
                rate = num / max(1e-6, now - warm[0])
                kafka_us = (_cpu_s([kafka.pid]) - warm[3]) * us
                return rate, (_cpu_s(pids) - warm[2]) * us, kafka_us
            ended = [code for worker in workers if (code := worker.poll()) is not None]
            if now > deadline or ended:
                why = (
                    f"a worker ended with {ended[0]}" if ended else f"{ROUND_TIMEOUT_S:g} s passed"
                )
                raise RiverrunError(f"{written} of {num_records} records came through, then {why}")
            time.sleep(POLL_S)
    finally:
        consumer.close()
