"""The thread that looks for newer versions and loads them, off the engine's thread.

It follows the store's pointer. While every slot is in use it waits for the oldest answers to end,
and then takes what is newest by then; versions between are skipped. A version that cannot be
loaded is counted and logged, and the one that is live stays.

Knows nothing of requests. Started by `serving/main.py`.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from riverrun.errors import UnknownVersion, VersionRefused
from riverrun.store import VersionStore
from serving.engine import Engine
from serving.slots import Slot
from serving.tally import Tally
from serving.weights import load_into

log = logging.getLogger(__name__)

PAUSE_AFTER_FAULT_S = 1.0
"""Before a version is tried again that failed for another reason than being wrong (a store that
does not answer)."""

MAX_PAUSE_S = 0.2
"""Between two layers of a version that is loaded while answers run."""


class Watcher:
    """Brings promoted versions from a store into an engine's slots."""

    def __init__(
        self, store: VersionStore, engine: Engine, tally: Tally, *, poll_interval_s: float
    ) -> None:
        self._store = store
        self._engine = engine
        self._tally = tally
        self._poll_interval_s = poll_interval_s
        self._stopping = threading.Event()
        self._offered: str | None = None
        self._refused: str | None = None

    def stop(self) -> None:
        """End `run` after the version that is being loaded, if one is."""
        self._stopping.set()

    def run(self) -> None:
        """Look every `poll_interval_s` until stopped."""
        _step_back()
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            pause_s = self._look()

    def _look(self) -> float:
        """Load what is newest, if it is new; the seconds to wait before looking again."""
        version: str | None = None
        try:
            version = self._store.promoted()
            if version is None or version in (self._offered, self._refused):
                return self._poll_interval_s
            slot = self._engine.slots.stage(self._poll_interval_s)
            if slot is None:
                return 0.0
            # Waiting for the slot may have taken long: what is newest now?
            version = self._store.promoted()
            if version is not None and version not in (self._offered, self._refused):
                self._load(version, slot)
        except VersionRefused as error:
            self._refused = version
            self._tally.refused()
            log.error("%s is refused, %s stays: %s", version, self._offered, error)
        except UnknownVersion as error:
            log.warning("%s", error)
        except Exception:
            # Neither one version nor a store that is away may end serving: the old weights stay.
            if version is not None:
                self._tally.refused()
            log.exception("%s could not be loaded, %s stays", version, self._offered)
            return PAUSE_AFTER_FAULT_S
        finally:
            self._engine.slots.give_back()
        return self._poll_interval_s

    def _pause(self) -> Callable[[], None]:
        """Rest three times as long as was worked, while answers run: the engine needs the core.

        So a load never takes more than a quarter of it.
        """
        resumed = time.perf_counter()

        def pause() -> None:
            nonlocal resumed
            if self._engine.num_rows:
                worked_s = time.perf_counter() - resumed
                self._stopping.wait(min(3 * worked_s, MAX_PAUSE_S))
            resumed = time.perf_counter()

        return pause

    def _load(self, version: str, slot: Slot) -> None:
        started = time.perf_counter()
        manifest = self._store.manifest(version)
        with self._store.weights(version) as path:
            load_into(slot.model, path, version, self._pause())
        self._tally.metrics.load_seconds.observe(time.perf_counter() - started)
        self._engine.offer(manifest)
        self._offered = version
        log.debug("%s loaded in %.3f s", version, time.perf_counter() - started)


def _step_back() -> None:
    """Give this thread, alone, a low priority; Linux can, elsewhere the pauses must do."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
