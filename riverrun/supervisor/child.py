"""One child process: its start, its end, its log.

A child leads a process group, so that Ctrl-C reaches only the supervisor, within the supervisor's
session, so that priorities count between children (`riverrun/priority.py`). Its standard input is a
pipe that ends when the supervisor dies, however it dies. Called by `System` on one thread. Knows
nothing of restarts.
"""

import contextlib
import os
import signal
import subprocess
import time
from typing import Literal

import msgspec

from riverrun.supervisor.log_file import LogFile
from riverrun.supervisor.programs import Program, child_environment
from riverrun.supervisor.restarts import Restarts
from riverrun.workspace import ProcessName, ProcessRecord, Workspace

Phase = Literal["waiting", "starting", "ready", "restarting", "draining", "ended"]


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """How one process stands now."""

    name: ProcessName
    phase: Phase
    pid: int | None
    restarts: int
    record: ProcessRecord | None


class Child:
    """A program, running or not."""

    def __init__(self, program: Program, workspace: Workspace, restarts: Restarts) -> None:
        self.program = program
        self.name = program.name
        self.workspace = workspace
        self.restarts = restarts
        self.log = LogFile(workspace.log_file(program.name))
        self.phase: Phase = "waiting"
        self.was_ready = False
        self.started_s = 0.0
        self.ready_s: float | None = None
        self.start_at_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Raises OSError when the machine cannot start a process."""
        self.workspace.forget(self.name)
        with self.log.open() as log:
            self._process = subprocess.Popen(
                self.program.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                process_group=0,
            )
        self.started_s = time.monotonic()
        self.ready_s = None
        self.phase = "starting"

    def record(self) -> ProcessRecord | None:
        """What this very process announced; None before that."""
        record = self.workspace.record(self.name)
        return record if record is not None and record.pid == self.pid else None

    def view(self) -> ProcessView:
        return ProcessView(
            name=self.name,
            phase=self.phase,
            pid=self.pid,
            restarts=self.restarts.total,
            record=self.record(),
        )

    def collect(self) -> int | None:
        """The exit code once the process has ended, and None before; negative for a signal.

        What the process left behind in its group (Kafka's JVM, when its keeper was killed) is
        killed before the process is reaped, while its number cannot belong to anybody else.
        """
        process = self._process
        if process is None:
            return None
        seen = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return None
        self._signal_group(signal.SIGKILL)
        code = process.wait()
        assert process.stdin is not None
        process.stdin.close()
        self._process = None
        self.workspace.forget(self.name)
        return code

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None:
            self.phase = "draining"
            # Not `Popen.send_signal`, which may reap it.
            os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def describe_end(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}" if code else "ended by itself"
