"""What every process does first and last: its lock, its log lines, /metrics, signals, and an end
when the supervisor that started it is gone.

Called by each process's `main`; knows nothing of what the process is for.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server

from riverrun.log_lines import LogFormat, formatter
from riverrun.settings import Settings
from riverrun.workspace import ProcessName, ProcessRecord, ProcessState, Workspace

SUPERVISED = "RIVERRUN_SUPERVISED"
"""Set by the supervisor: our standard input is a pipe that ends when it dies."""

Registry = CollectorRegistry
log = logging.getLogger(__name__)


class Running:
    """A process in its data directory. `stop` is set once, by a signal or the supervisor's end."""

    def __init__(self, name: ProcessName, workspace: Workspace, registry: Registry) -> None:
        self.name = name
        self.workspace = workspace
        self.registry = registry
        self.stop = threading.Event()
        self.metrics_port: int | None = None
        self.started_at = time.time()
        self.on_stop: list[Callable[[], None]] = []

    def announce(
        self,
        state: ProcessState,
        *,
        address: str | None = None,
        http_address: str | None = None,
        detail: str = "",
    ) -> None:
        self.workspace.announce(
            ProcessRecord(
                name=self.name,
                pid=os.getpid(),
                state=state,
                started_at=self.started_at,
                address=address,
                http_address=http_address,
                metrics_port=self.metrics_port,
                detail=detail,
            )
        )
        log.info("%s%s", state, f" at {address}" if address else "")

    def request_stop(self) -> None:
        """End soon. Called from a signal handler or a thread; callbacks must only set flags."""
        if not self.stop.is_set():
            self.stop.set()
            for callback in self.on_stop:
                callback()


@contextlib.contextmanager
def process(
    name: ProcessName,
    settings: Settings,
    metrics_port: int,
    is_abandoned: Callable[[], bool] = lambda: False,
) -> Iterator[Running]:
    """Be the process `name` of the settings' data directory until the block ends.

    is_abandoned: asked when one runs there already: whether it may be followed all the same.
    Raises DataDirInUse when it runs there already.
    """
    log_to_stderr(settings.log_level, settings.log_format)
    workspace = Workspace(settings.data_dir)
    with workspace.hold(name, is_abandoned):
        running = Running(name, workspace, CollectorRegistry())
        server, thread = start_http_server(
            metrics_port, addr="127.0.0.1", registry=running.registry
        )
        running.metrics_port = server.server_port
        for number in (signal.SIGTERM, signal.SIGINT):
            # On a thread of its own: the handler interrupts the main thread, which may hold the
            # very lock that setting the event takes.
            signal.signal(number, lambda *_: threading.Thread(target=running.request_stop).start())
        if os.environ.get(SUPERVISED):
            threading.Thread(target=_watch_parent, args=(running,), daemon=True).start()
        running.announce("starting")
        try:
            yield running
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def log_to_stderr(level: str, form: LogFormat = "text") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kafka", "aiokafka", "mode", "faust", "asyncio", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _watch_parent(running: Running) -> None:
    """The pipe on standard input says nothing; it ends with the supervisor."""
    # Not `sys.stdin`: its lock, held by this thread, would abort the interpreter at its end.
    while os.read(0, 4096):
        continue
    log.warning("the supervisor is gone: stopping")
    running.request_stop()
