"""The data directory: who lives where, who runs, and how processes find each other.

    riverrun.toml      settings (optional, the operator's)
    ports.json         ports chosen once and kept
    run/NAME.json      a running process: pid, state, addresses      (ProcessRecord)
    run/NAME.lock      held for as long as the process lives
    run/settings.json  what the running system was started with
    run/targets/       Prometheus file discovery, one file a process
    logs/NAME.log      what each process said
    broker/ store/ learner/ stream/   each process's own

Knows nothing of what the processes do.
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Literal

import msgspec

from riverrun.errors import DataDirInUse, InvalidValue, NotRunning

ProcessName = Literal["up", "broker", "stream", "learner", "serving"]
ProcessState = Literal["starting", "ready", "draining"]


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a running process tells the others."""

    name: str
    pid: int
    state: ProcessState
    started_at: float
    address: str | None = None
    http_address: str | None = None
    metrics_port: int | None = None
    detail: str = ""


def fsync(path: Path) -> None:
    """Sync what stands under a name: a file's bytes, or a directory's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(
    path: Path,
    data: bytes,
    mode: int = 0o644,
    guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> None:
    """Write beside `path`, fsync, rename: a reader sees the old bytes or the new ones.

    guard: entered around the rename alone; when it raises, nothing has changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)  # noqa: PTH101 - beside is a name from mkstemp
        with guard():
            os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # noqa: PTH108
        raise


class Workspace:
    """One data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        if self.root.exists() and not self.root.is_dir():
            raise InvalidValue("data_dir", str(root), "a directory or a path to make one at")

    def directory(self, *parts: str) -> Path:
        """A directory below the root, made if it is not there."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log_file(self, name: ProcessName) -> Path:
        return self.directory("logs") / f"{name}.log"

    @property
    def settings_file(self) -> Path:
        """The settings of the system that runs here now."""
        return self.root / "run" / "settings.json"

    @property
    def store_url(self) -> str:
        return str(self.root / "store")

    # Who runs

    @contextlib.contextmanager
    def hold(
        self, name: ProcessName, is_abandoned: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Be the process `name` of this directory; a second one raises DataDirInUse.

        is_abandoned: asked when the lock is held: whether to follow its holder, which lives and
        does nothing. It keeps a lock that nobody looks at any more.
        """
        path = self.directory("run") / f"{name}.lock"
        with contextlib.ExitStack() as opened:
            file = opened.enter_context(path.open("a+"))
            if not lock_within(file, LOCK_PATIENCE_S):
                if not is_abandoned():
                    record = self.record(name)
                    who = f" (process {record.pid})" if record else ""
                    raise DataDirInUse(
                        f"{self.root} is in use: `{name}` runs there already{who}. Stop it "
                        f"(`riverrun down --data-dir {self.root}`) or name another --data-dir."
                    )
                opened.enter_context(_replaced_lock(path))
            try:
                yield
            finally:
                now = self.record(name)
                if now is None or now.pid == os.getpid():
                    self.forget(name)

    def is_held(self, name: ProcessName) -> bool:
        """Whether the process `name` lives (its lock is gone with it, however it died)."""
        path = self.root / "run" / f"{name}.lock"
        if not path.exists():
            return False
        with path.open("a+") as file:
            return not lock_within(file, 0)

    def announce(self, record: ProcessRecord) -> None:
        """Tell the others (and Prometheus) where the process is."""
        replace_file(self.root / "run" / f"{record.name}.json", msgspec.json.encode(record))
        if record.metrics_port is not None:
            target = [
                {
                    "targets": [f"127.0.0.1:{record.metrics_port}"],
                    "labels": {"process": record.name},
                }
            ]
            replace_file(
                self.root / "run" / "targets" / f"{record.name}.json", json.dumps(target).encode()
            )

    def forget(self, name: ProcessName) -> None:
        for path in (
            self.root / "run" / f"{name}.json",
            self.root / "run" / "targets" / f"{name}.json",
        ):
            path.unlink(missing_ok=True)

    def record(self, name: ProcessName) -> ProcessRecord | None:
        """What `name` last announced, alive or not."""
        try:
            data = (self.root / "run" / f"{name}.json").read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(data, type=ProcessRecord)

    def running(self, name: ProcessName) -> ProcessRecord | None:
        """What `name` announced, if it lives."""
        return self.record(name) if self.is_held(name) else None

    def wait_ready(self, name: ProcessName, timeout_s: float) -> ProcessRecord:
        """The record of `name` once it is ready; NotRunning when it is not in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            record = self.running(name)
            if record is not None and record.state == "ready":
                return record
            if time.monotonic() >= deadline:
                state = "not running" if record is None else record.state
                raise NotRunning(
                    f"{name} is {state} in {self.root} after {timeout_s:g} s. "
                    f"Start the system with `riverrun up --data-dir {self.root}`."
                )
            time.sleep(0.02)

    # Ports

    def port(self, name: str, asked: int) -> int:
        """A port to listen on: the one asked for, else the one used before, else a free one.

        A free port is remembered, so that clients find a restarted process where it was. When
        another program took it meanwhile, a new one is chosen.
        """
        if asked:
            return asked
        path = self.directory() / "ports.json"
        with path.with_name(".ports.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
            before = ports.get(name)
            if before is not None and is_free(before):
                return before
            ports[name] = free_port()
            replace_file(path, json.dumps(ports, sort_keys=True).encode())
            return ports[name]


LOCK_PATIENCE_S = 1.0
"""A process that only asks whether a lock is held takes it for a moment; whoever wants to hold it
tries this long before it believes that somebody lives there."""


def _replaced_lock(path: Path) -> IO[str]:
    """A lock file at `path` that is ours, whoever holds the one that was there."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    file = os.fdopen(handle, "a+")
    fcntl.flock(file, fcntl.LOCK_EX)
    Path(beside).rename(path)
    return file


def lock_within(file: IO[str], patience_s: float) -> bool:
    """Take an exclusive lock on `file`, or say that it was not to be had within `patience_s`."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


LISTENING_PORTS = range(20_000, 32_000)
"""Below those that the kernel lends to outgoing connections (32768 and up on Linux): a port from
there may be gone by the time that its process starts, or starts again."""


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    random = secrets.SystemRandom()  # tests seed the other one, and would share their ports
    for port in random.sample(LISTENING_PORTS, 1000):
        if is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port among 1000 of {LISTENING_PORTS}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether `port` can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
