"""Stepping back: what the kernel says of a process that did, and of the threads it starts."""

import subprocess
import sys

import pytest

SHOW = """
import os, sys, threading
from riverrun.priority import step_back, yield_core
nice, num_threads = sys.argv[1:]
before = os.getpriority(os.PRIO_PROCESS, 0)
if nice == "yields":
    yield_core()
else:
    step_back(None if nice == "none" else int(nice), num_threads=int(num_threads))
def show():
    policy = os.sched_getscheduler(0) if hasattr(os, "SCHED_IDLE") else 0
    is_idle = policy == getattr(os, "SCHED_IDLE", None)
    print(is_idle, os.getpriority(os.PRIO_PROCESS, 0) - before)
thread = threading.Thread(target=show)
thread.start()
thread.join()
"""


def stepped_back(nice: str, num_threads: int = 1) -> tuple[bool, int]:
    """Whether a thread that started afterwards is idle, and how much nicer it is."""
    command = [sys.executable, "-c", SHOW, nice, str(num_threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    is_idle, nicer = done.stdout.split()
    return is_idle == "True", int(nicer)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the class")
def test_who_yields_runs_only_while_nobody_else_wants_the_core() -> None:
    assert stepped_back("yields") == (True, 0)


@pytest.mark.parametrize(
    ("nice", "num_threads", "nicer"), [("none", 1, 10), ("none", 2, 3), ("7", 1, 7), ("7", 2, 7)]
)
def test_a_nice_value_is_taken_or_follows_from_the_threads(
    nice: str, num_threads: int, nicer: int
) -> None:
    assert stepped_back(nice, num_threads) == (False, nicer)
