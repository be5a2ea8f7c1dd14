"""The data directory as a supervisor holds it: alone, swept, with the settings that all read.

Called by `System` at its start and end.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, start_http_server

from riverrun.broker.topics import ensure_topics
from riverrun.errors import DataDirInUse
from riverrun.kafka import bootstrap_servers
from riverrun.settings import Settings
from riverrun.settings.load import save_settings
from riverrun.supervisor.events import EventKind
from riverrun.workspace import ProcessName, ProcessRecord, ProcessState, Workspace

NAMES: tuple[ProcessName, ...] = get_args(ProcessName)
ORPHAN_PATIENCE_S = 5.0
"""A child whose supervisor was killed notices and begins to drain within this time."""


class Place:
    """One data directory, for one supervisor."""

    def __init__(self, settings: Settings, tell: Callable[[EventKind, str], None]) -> None:
        self.settings = settings
        self.workspace = Workspace(settings.data_dir)
        self._tell = tell
        self._started_at = time.time()
        self._metrics_port: int | None = None

    @contextlib.contextmanager
    def taken(self, registry: CollectorRegistry) -> Iterator[None]:
        """Hold the directory, with /metrics of `registry`.

        Raises DataDirInUse; BrokerError when the Kafka named in the settings does not answer.
        """
        with self.workspace.hold("up"):
            self._await_orphans()
            for name in NAMES:
                self.workspace.forget(name)
            save_settings(self.settings, self.workspace.settings_file)
            if self.settings.kafka.bootstrap_servers is not None:
                servers = bootstrap_servers(self.settings, timeout_s=0)
                self._tell("waiting", f"checking the topics at {', '.join(servers)}")
                ensure_topics(self.settings, servers)
            server, thread = start_http_server(
                self.settings.supervisor.metrics_port, addr="127.0.0.1", registry=registry
            )
            self._metrics_port = server.server_port
            self.announce("starting")
            try:
                yield
            finally:
                server.shutdown()
                server.server_close()
                thread.join()

    def announce(self, state: ProcessState) -> None:
        self.workspace.announce(
            ProcessRecord(
                name="up",
                pid=os.getpid(),
                state=state,
                started_at=self._started_at,
                metrics_port=self._metrics_port,
            )
        )

    def _await_orphans(self) -> None:
        """Wait for the children of a supervisor that was killed; refuse what does not drain."""
        began_s = time.monotonic()
        told = False
        while alive := [n for n in NAMES if n != "up" and self.workspace.is_held(n)]:
            if not told:
                self._tell("waiting", f"waiting for the former {', '.join(alive)} to end")
                told = True
            waited_s = time.monotonic() - began_s
            records = [self.workspace.record(name) for name in alive]
            draining = all(r is not None and r.state == "draining" for r in records)
            patience_s = self.settings.supervisor.stop_timeout_s if draining else ORPHAN_PATIENCE_S
            if waited_s > patience_s:
                raise DataDirInUse(
                    f"{self.workspace.root} is in use: {', '.join(alive)} runs there, started by "
                    "hand. Stop it (`riverrun down`) or name another --data-dir."
                )
            time.sleep(0.05)
