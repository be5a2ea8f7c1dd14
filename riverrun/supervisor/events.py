"""What happens to a system, one event at a time, for whoever shows it.

Made by `System` on its own thread; printed by `riverrun up` and the demo.
"""

from typing import Literal

import msgspec

from riverrun.workspace import ProcessName

EventKind = Literal[
    "waiting",  # something has to end or to be ready first
    "starting",
    "ready",
    "failed",  # a process ended, or took too long; it starts again unless `gave_up` follows
    "all_ready",  # every process is ready for the first time
    "gave_up",  # the system stops: a process does not stay up
    "stopping",
    "killed",  # a process did not stop in time
    "stopped",
    "ended",  # the last event: nothing runs any more
]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `process` is None when it concerns the whole system."""

    kind: EventKind
    text: str
    process: ProcessName | None = None
    tail: list[str] = []
