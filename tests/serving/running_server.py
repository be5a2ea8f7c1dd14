"""The whole serving process but for its process: a real socket, engine, watcher and drain.

`serving.main.serve` on an event loop of its own thread; a signal is `request_stop`, which is all
that the signal handler calls.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from riverrun.process import Running
from riverrun.settings import KafkaSettings, ServingSettings, Settings
from riverrun.workspace import Workspace
from serving.engine import Engine
from serving.main import serve

DEADLINE_S = 30.0
ANSWERING = ("Generate", "Complete", "Chat", "CompleteChat")


def wait_for(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """The first true value of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.002)
    return value


class RunningServer:
    """One server in the data directory `root`."""

    def __init__(self, root: Path, kafka: KafkaSettings | None = None, **options: Any) -> None:
        options = {"poll_interval_s": 0.005, "chunk_interval_s": 0.0, **options}
        self.settings = Settings(
            data_dir=root,
            model="tiny",
            device="cpu",
            kafka=kafka or KafkaSettings(),
            serving=ServingSettings(**options),
        )
        self.workspace = Workspace(root)
        self.running = Running("serving", self.workspace, CollectorRegistry())
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with self.workspace.hold("serving"):
                asyncio.run(serve(self.settings, self.running))
        except BaseException as error:  # noqa: BLE001 - told to the test by `stop`
            self.fault = error

    def start(self) -> "RunningServer":
        self._thread.start()
        return self

    def record(self) -> Any:
        assert self.fault is None, repr(self.fault)
        return self.workspace.record("serving")

    @property
    def address(self) -> str:
        """Where it listens, as soon as it does."""
        address: str = wait_for(lambda: (r := self.record()) and r.address, "an address")
        return address

    @property
    def http_address(self) -> str:
        """Where it listens for HTTP, with the scheme."""
        address: str = wait_for(lambda: (r := self.record()) and r.http_address, "an address")
        return address

    def wait_ready(self) -> str:
        wait_for(lambda: self.record() and self.record().state == "ready", "ready")
        return self.address

    def metric(self, name: str, labels: dict[str, str] | None = None) -> float:
        return self.running.registry.get_sample_value(name, labels or {}) or 0.0

    def codes(self) -> dict[str, int]:
        """How many answers ended with each code."""
        codes: Counter[str] = Counter()
        for metric in self.running.registry.collect():
            for sample in metric.samples:
                if sample.name == "riverrun_serving_requests_total" and (
                    sample.labels["method"] in ANSWERING
                ):
                    codes[sample.labels["code"]] += int(sample.value)
        return dict(codes)

    def stop(self) -> None:
        self.running.request_stop()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        if self.fault is not None:
            raise self.fault


@contextmanager
def running_server(root: Path, **options: Any) -> Iterator[RunningServer]:
    server = RunningServer(root, **options).start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def held_engine() -> Iterator[None]:
    """Engines do not step for the length of the block, whatever waits for them."""
    may_step = threading.Event()
    step = Engine.step

    def wait_and_step(engine: Engine) -> None:
        may_step.wait(60)
        step(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "step", wait_and_step)
        try:
            yield
        finally:
            may_step.set()


@contextmanager
def slowed_engine(step_s: float) -> Iterator[None]:
    """Each step of an engine takes so much longer, for the length of the block."""
    step = Engine.step

    def step_slowly(engine: Engine) -> None:
        step(engine)
        time.sleep(step_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "step", step_slowly)
        yield
