"""Lag and age against a real Kafka, with a worker whose writes are held."""

import contextlib
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riverrun.kafka import Topics
from riverrun.settings import Settings
from riverrun.workspace import Workspace
from tests.stream import running_worker


def test_lag_and_age_count_what_is_not_cleaned_and_fall_to_zero(
    kafka_settings: Settings, producer: Any, tmp_path: Path
) -> None:
    def sample(name: str) -> float:
        record = Workspace(kafka_settings.data_dir).running("stream")
        assert record is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{record.metrics_port}/metrics") as reply:
            page = reply.read().decode()
        (line,) = (one for one in page.splitlines() if one.startswith(f'{name}{{partition="2"}}'))
        return float(line.rsplit(" ", 1)[1])

    gate = tmp_path / "gate"
    held = f"""
import asyncio, pathlib, stream.writer, stream.lag
stream.lag.LOOK_S = 0.1
write = stream.writer.Writer.write
async def wait_and_write(self, partition, records):
    while not pathlib.Path({str(gate)!r}).exists():
        await asyncio.sleep(0.05)
    return await write(self, partition, records)
stream.writer.Writer.write = wait_and_write
"""
    raw = Topics(kafka_settings.kafka.topic_prefix).raw
    with running_worker.running(kafka_settings, before=held):
        begun_ms = int(time.time() * 1000) - 50_000
        for index in range(7):
            producer.send(raw, b"text", partition=2, timestamp_ms=begun_ms + index).get(10)

        def until(is_so: Callable[[float, float], bool]) -> None:
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(ValueError):  # not shown yet
                    lag = sample("riverrun_stream_lag")
                    age_s = sample("riverrun_stream_oldest_uncleaned_seconds")
                    if is_so(lag, age_s):
                        return
                assert time.monotonic() < deadline
                time.sleep(0.05)

        until(lambda lag, age_s: lag == 7 and 50 <= age_s < 100)
        gate.touch()
        until(lambda lag, age_s: (lag, age_s) == (0, 0))
