"""Turns of the learner on a thread that yields its core, so that serving never waits for it.

Such a thread runs only while nobody else wants the core. Where every core is always busy it would
hardly run at all, and whoever waits for Python's lock behind it would wait as long. So after a turn
that could hardly run, turns are taken by a thread that is only nice, for a while that doubles each
time that it happens again. Two threads, since one cannot come back.

Knows nothing of what a turn is. Made by `start.py`, called by `loop.py`.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Counter

from riverrun.priority import step_back, yield_core

STARVED_SHARE = 0.95
"""Of the time in which a turn could run, what it waited for a core, when it hardly ran."""
LEAST_WAIT_S = 1.0
"""Shorter waits happen to everybody."""
FIRST_RELIEF_S = 10.0
LONGEST_RELIEF_S = 640.0

log = logging.getLogger(__name__)
Turn = Callable[[], None]


def take_directly(turn: Turn) -> None:
    """On the caller's own thread."""
    turn()


class Taken(NamedTuple):
    """Seconds that a turn had a core, and waited for one."""

    ran_s: float
    waited_s: float

    @property
    def is_starved(self) -> bool:
        could_run_s = self.ran_s + self.waited_s
        return self.waited_s > max(LEAST_WAIT_S, STARVED_SHARE * could_run_s)


class YieldingTurns:
    """`take` one turn after the other, from one thread; `close` it at the end.

    prepare: called once on each of the two threads, before its first turn.
    starved: counts turns that could hardly run.
    """

    def __init__(
        self,
        prepare: Callable[[], None],
        starved: Counter,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prepare = prepare
        self._starved = starved
        self._now = now
        self._yielding = ThreadPoolExecutor(1, "learner-yields", self._begin, (yield_core,))
        self._nice = ThreadPoolExecutor(1, "learner-nice", self._begin, (lambda: step_back(None),))
        self._relief_s = FIRST_RELIEF_S
        self._relieved_until = -float("inf")

    def take(self, turn: Turn) -> None:
        """Returns when the turn has ended; raises what it raises."""
        if self._now() < self._relieved_until:
            self._nice.submit(turn).result()
        else:
            self.judge(self._yielding.submit(_timed, turn).result())

    def judge(self, taken: Taken) -> None:
        """Whether the next turns may yield."""
        if not taken.is_starved:
            if taken.ran_s > taken.waited_s:
                self._relief_s = FIRST_RELIEF_S
            return
        self._starved.inc()
        log.warning(
            "a turn had a core for %.1f s and waited for one for %.1f s: the machine is full; for "
            "%.0f s learning no longer yields",
            taken.ran_s,
            taken.waited_s,
            self._relief_s,
        )
        self._relieved_until = self._now() + self._relief_s
        self._relief_s = min(2 * self._relief_s, LONGEST_RELIEF_S)

    def close(self) -> None:
        """End both threads."""
        self._yielding.shutdown()
        self._nice.shutdown()

    def _begin(self, step_aside: Callable[[], object]) -> None:
        self._prepare()
        step_aside()


def _timed(turn: Turn) -> Taken:
    before = scheduled()
    turn()
    after = scheduled()
    return Taken(after.ran_s - before.ran_s, after.waited_s - before.waited_s)


def scheduled() -> Taken:
    """This thread since its start; nothing where the kernel does not tell."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    try:
        ran_ns, waited_ns, _ = path.read_text().split()
    except (OSError, ValueError):
        return Taken(0.0, 0.0)
    return Taken(int(ran_ns) / 1e9, int(waited_ns) / 1e9)
