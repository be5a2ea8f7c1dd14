"""Stepping back: what the kernel says of a process that did, and of the threads it starts."""

import subprocess
import sys

import pytest

SHOW = """
import os, sys, threading
from riverrun.priority import step_back
nice, num_threads = sys.argv[1:]
step_back(None if nice == "none" else int(nice), num_threads=int(num_threads))
def show():
    policy = os.sched_getscheduler(0) if hasattr(os, "SCHED_IDLE") else 0
    print(policy == getattr(os, "SCHED_IDLE", None), os.getpriority(os.PRIO_PROCESS, 0))
thread = threading.Thread(target=show)
thread.start()
thread.join()
"""


def stepped_back(nice: str, num_threads: int) -> tuple[bool, int]:
    """Whether a thread that started afterwards is idle, and how nice it is above the starter."""
    command = [sys.executable, "-c", SHOW, nice, str(num_threads)]
    is_idle, value = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split()
    unchanged = [sys.executable, "-c", "import os; print(os.nice(0))"]
    before = subprocess.run(unchanged, capture_output=True, text=True, check=True).stdout
    return is_idle == "True", int(value) - int(before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the class")
def test_one_thread_runs_only_while_nobody_else_wants_the_core() -> None:
    assert stepped_back("none", 1) == (True, 0)


def test_several_threads_are_a_little_nice() -> None:
    assert stepped_back("none", 2) == (False, 3)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_nice_value_that_was_set_is_taken(num_threads: int) -> None:
    assert stepped_back("7", num_threads) == (False, 7)
