"""The learner as a child process of a test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from riverrun.settings import Settings
from riverrun.store import Manifest, VersionStore
from riverrun.workspace import Workspace, lock_within
from tests.learner import killing

DEADLINE_S = 60.0


class Learner:
    """`riverrun learner` as a child process."""

    def __init__(self, settings: Settings, log: str = "log") -> None:
        self.workspace = Workspace(settings.data_dir)
        self.store = VersionStore(self.workspace.store_url)
        self.settings = settings
        self.log = settings.data_dir / log
        self.start()

    def start(self, killed_at: int | None = None) -> None:
        """killed_at: the number of the file operation just before which it kills itself."""
        program = ["-m", "riverrun"]
        if killed_at is not None:
            program = [str(Path(killing.__file__)), str(killed_at)]
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *program, *command(self.settings)],
                stdout=log,
                stderr=log,
                env=environment(),
            )

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def pause(self) -> None:
        """SIGSTOP, outside of the leases' critical sections: inside, nobody may follow it."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self.child.send_signal(signal.SIGSTOP)
            # Not before the kernel says so: a signal that is pending stops nothing yet.
            os.waitid(os.P_PID, self.child.pid, os.WSTOPPED | os.WNOWAIT)
            if all(self._is_free(place) for place in ("learner", "store")):
                return
            assert time.monotonic() < deadline
            self.child.send_signal(signal.SIGCONT)
            time.sleep(0.01)

    def _is_free(self, place: str) -> bool:
        with (self.settings.data_dir / place / "LEASE.lock").open("a+") as file:
            return lock_within(file, 0)

    def stop(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(DEADLINE_S)

    def wait_end(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.child.wait(DEADLINE_S)

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.child.poll() is None, self.log.read_text()
            if time.monotonic() > deadline:
                # faulthandler writes into the log where it hangs.
                self.child.send_signal(signal.SIGABRT)
                self.child.wait()
                raise AssertionError(self.log.read_text())
            time.sleep(0.005)

    def promoted(self) -> Manifest | None:
        version = self.store.promoted()
        return None if version is None else self.store.manifest(version)

    def has_learned(self, num_documents: int) -> bool:
        manifest = self.promoted()
        return manifest is not None and manifest.num_documents >= num_documents

    def line(self) -> list[Manifest]:
        """The promoted version and its parents, oldest first."""
        manifest = self.promoted()
        found = []
        while manifest is not None:
            found.append(manifest)
            manifest = self.store.manifest(manifest.parent) if manifest.parent else None
        return found[::-1]


def command(settings: Settings) -> list[str]:
    """Of `riverrun`: the learner with these settings."""
    words = ["learner", "--data-dir", str(settings.data_dir), "--model", "tiny"]
    for section, values in settings.model_dump(mode="json", exclude_unset=True).items():
        if isinstance(values, dict):
            for key, value in values.items():
                words += ["--set", f"{section}.{key}={value}"]
    return words


def environment() -> dict[str, str]:
    return {name: v for name, v in os.environ.items() if not name.startswith("RIVERRUN_")}
