"""The end of a system: its processes stop one after the other, in reverse start order.

Serving goes first, so that nobody is answered by a system that no longer learns; Kafka goes last,
so that the others can still write where they are. Called by `System` on its thread.
"""

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from riverrun.supervisor.child import Child, describe_end
from riverrun.supervisor.events import EventKind

TICK_S = 0.05
HURRIED_STOP_S = 3.0


class Tell(Protocol):
    """Reports an event of one child."""

    def __call__(self, kind: EventKind, text: str, child: Child) -> None: ...


def drain(
    children: Sequence[Child], stop_timeout_s: float, hurried: threading.Event, tell: Tell
) -> None:
    """Return when no child runs. Each has `stop_timeout_s` to end before it is killed.

    hurried: once set, all are asked to end at once and have a few seconds.
    """
    for child in reversed(children):
        if child.pid is not None:
            tell("stopping", "stopping", child)
            child.terminate()
            _await_end(child, children, stop_timeout_s, hurried, tell)
        child.phase = "ended"


def _await_end(
    child: Child,
    children: Sequence[Child],
    stop_timeout_s: float,
    hurried: threading.Event,
    tell: Tell,
) -> None:
    began_s = time.monotonic()
    deadline_s = began_s + stop_timeout_s
    hurrying = False
    while (code := child.collect()) is None:
        if hurried.is_set() and not hurrying:
            hurrying = True
            deadline_s = min(deadline_s, time.monotonic() + HURRIED_STOP_S)
            for other in children:
                other.terminate()
        if time.monotonic() >= deadline_s:
            tell("killed", "did not stop in time: killed", child)
            child.kill()
            deadline_s = float("inf")
        time.sleep(TICK_S)
    took_s = time.monotonic() - began_s
    how = "stopped" if code == 0 else describe_end(code)
    tell("stopped", f"{how} after {took_s:.1f} s", child)
