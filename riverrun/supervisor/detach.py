"""Going on without a terminal: a supervisor that outlives the command that started it.

Called by `riverrun up --detach`. Must be called before the process has threads.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from riverrun.supervisor.log_file import LogFile
from riverrun.workspace import Workspace


def detach(run: Callable[[], int], log_path: Path) -> int:
    """Start `run` in a process of its own session; its process id.

    What it prints goes to the log; its exit code is what `run` returns.
    """
    log = LogFile(log_path).open()
    pid = os.fork()
    if pid:
        log.close()
        return pid
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.dup2(log.fileno(), sys.stdout.fileno())
    os.dup2(log.fileno(), sys.stderr.fileno())
    code = 1
    try:
        code = run()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # The command that forked goes on in the parent, and only there.
        os._exit(code)


def follow(pid: int, workspace: Workspace, log_path: Path, show: Callable[[str], None]) -> int:
    """Show what the detached supervisor says until its system is ready: then 0, else its exit code.

    Ctrl-C stops it.
    """
    with log_path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        try:
            while True:
                record = workspace.running("up")
                ready = record is not None and record.pid == pid and record.state == "ready"
                ended, status = os.waitpid(pid, os.WNOHANG)
                show(log.read().decode(errors="replace"))
                if ready:
                    return 0
                if ended:
                    return os.waitstatus_to_exitcode(status) or 1
                time.sleep(0.05)
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            raise
