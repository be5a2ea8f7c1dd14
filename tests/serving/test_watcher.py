"""Loading takes no more than its share of the core while answers run."""

import time
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from riverrun.metrics import ServingMetrics
from riverrun.store import VersionStore
from serving.engine import Engine
from serving.slots import Slots
from serving.tally import Tally
from serving.watcher import MAX_PAUSE_S, Watcher
from tests.serving.published import CONFIG, Published


class Busy:
    """An engine in which so many answers run."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows


class Clock:
    """Time that passes by work and by rest alone."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rests: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.rests.append(seconds)
        self.now += seconds
        return False


@pytest.mark.parametrize(
    ("num_rows", "rests"), [(1, [0.03, 0.06, MAX_PAUSE_S]), (0, [])], ids=["answering", "idle"]
)
def test_a_load_rests_three_times_as_long_as_it_worked_while_answers_run(
    published: Published, monkeypatch: pytest.MonkeyPatch, num_rows: int, rests: list[float]
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    watcher = watcher_of(Busy(num_rows), published.store)
    monkeypatch.setattr(watcher, "_stopping", clock)
    pause = watcher._pause()
    for worked_s in (0.01, 0.02, 0.5):
        clock.now += worked_s
        pause()
    assert clock.rests == pytest.approx(rests)


def test_a_load_asks_at_every_layer_whether_answers_run(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, busy = Clock(), Busy(0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    watcher = watcher_of(busy, published.store)
    monkeypatch.setattr(watcher, "_stopping", clock)
    pause = watcher._pause()
    clock.now += 0.05
    pause()
    # What it worked while nobody was answered is not rested for.
    busy.num_rows = 1
    clock.now += 0.01
    pause()
    assert clock.rests == pytest.approx([0.03])


def test_a_load_pauses_after_every_layer(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[bool] = []
    watcher = watcher_of(Busy(1), published.store)
    monkeypatch.setattr(watcher, "_pause", lambda: lambda: paused.append(True))
    slot = Slots(CONFIG).stage(0.0)
    assert slot is not None
    watcher._load(published.publish(1), slot)
    assert len(paused) == CONFIG.num_layers


def watcher_of(engine: Any, store: VersionStore) -> Watcher:
    tally = Tally(ServingMetrics(CollectorRegistry()))
    return Watcher(store, cast(Engine, engine), tally, poll_interval_s=0.01)
