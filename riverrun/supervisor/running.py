"""Stopping a system that another process supervises.

Called by `riverrun down`.
"""

import os
import signal
import time
from collections.abc import Callable

from riverrun.errors import NotRunning, ProcessFailed
from riverrun.workspace import ProcessName, Workspace

STOP_ORDER: tuple[ProcessName, ...] = ("up", "serving", "stream", "learner", "broker")


def stop_running(workspace: Workspace, timeout_s: float, tell: Callable[[str], None]) -> None:
    """Stop what runs in the data directory, and return when it has ended.

    The supervisor stops its own; what it does not (processes started by hand, or whose supervisor
    was killed) follows in the same order. Raises NotRunning, ProcessFailed after `timeout_s`.
    """
    stopped = False
    for name in STOP_ORDER:
        if workspace.is_held(name):
            _stop(workspace, name, timeout_s, tell)
            stopped = True
    if not stopped:
        raise NotRunning(f"nothing runs in {workspace.root}")


def _stop(
    workspace: Workspace, name: ProcessName, timeout_s: float, tell: Callable[[str], None]
) -> None:
    deadline_s = time.monotonic() + timeout_s
    asked: int | None = None
    while workspace.is_held(name):
        record = workspace.record(name)
        if record is not None and asked != record.pid:
            tell(f"stopping {name} (process {record.pid})")
            asked = record.pid
            try:
                os.kill(record.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        if time.monotonic() >= deadline_s:
            raise ProcessFailed(
                f"{name} (process {asked}) is still there after {timeout_s:g} s", []
            )
        time.sleep(0.05)
