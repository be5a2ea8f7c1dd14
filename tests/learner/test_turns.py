"""A turn yields its core; after one that could hardly run, turns are only nice for a while."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry, Counter

from learner.turns import FIRST_RELIEF_S, Taken, YieldingTurns, scheduled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has SCHED_IDLE")
STARVED = Taken(ran_s=0.05, waited_s=20.0)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def starved() -> Counter:
    return Counter("starved", "Turns.", registry=CollectorRegistry())


@pytest.fixture
def turns(clock: Clock, starved: Counter) -> Iterator[YieldingTurns]:
    with closing(YieldingTurns(lambda: None, starved, clock)) as made:
        yield made


def taken_by(turns: YieldingTurns) -> tuple[bool, int]:
    """Whether the thread of the next turn yields, and how nice it is above this one."""
    seen: list[tuple[bool, int]] = []

    def turn() -> None:
        nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        seen.append((os.sched_getscheduler(0) == os.SCHED_IDLE, nice))

    turns.take(turn)
    return seen[0][0], seen[0][1] - os.getpriority(os.PRIO_PROCESS, 0)


def test_turns_yield_and_the_caller_stays_as_it_was(turns: YieldingTurns) -> None:
    before = os.sched_getscheduler(0)
    assert [taken_by(turns) for _ in range(3)] == [(True, 0)] * 3
    assert os.sched_getscheduler(0) == before


def test_a_full_machine_gives_relief_that_ends_and_doubles(
    turns: YieldingTurns, clock: Clock, starved: Counter
) -> None:
    length_s = FIRST_RELIEF_S
    for count in (1, 2, 3):
        turns.judge(STARVED)
        assert starved._value.get() == count
        clock.now_s += length_s - 0.1
        assert taken_by(turns) == (False, 10)
        clock.now_s += 0.2
        assert taken_by(turns)[0]
        length_s *= 2


@pytest.mark.parametrize(
    "taken", [Taken(0.001, 0.9), Taken(2.0, 8.0), Taken(0.0, 0.0), Taken(5.0, 0.0)]
)
def test_a_short_wait_or_a_fair_share_is_no_starving(turns: YieldingTurns, taken: Taken) -> None:
    turns.judge(taken)
    assert taken_by(turns)[0]


def test_what_a_turn_raises_comes_to_the_caller(turns: YieldingTurns) -> None:
    def turn() -> None:
        raise OSError("a full disk")

    with pytest.raises(OSError, match="a full disk"):
        turns.take(turn)
    assert taken_by(turns)[0]


def test_the_kernel_tells_what_a_thread_ran() -> None:
    before = scheduled().ran_s
    sum(range(2_000_000))
    assert scheduled().ran_s > before
