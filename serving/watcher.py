"""The thread that looks for newer versions and loads them, off the engine's thread.

It follows the store's pointer, and loads what requests name by id. While every slot is in use it
waits for the oldest answers to end, and then takes what is newest by then; versions between are
skipped. A version that is wrong is counted and not looked at again; one that could not be read is
tried again. Either is logged, and the one that is live stays.

Knows nothing of requests. Started by `serving/main.py`.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from riverrun.errors import RiverrunError, StoreError, UnknownVersion, VersionRefused
from riverrun.store import Manifest, VersionStore
from serving.engine import Engine
from serving.pinning import Loaded
from serving.slots import Pin, Slot
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
        self._wake = threading.Event()
        self._asked: deque[tuple[str, Loaded]] = deque()

    def stop(self) -> None:
        """End `run` after the version that is being loaded, if one is."""
        self._stopping.set()
        self._wake.set()

    def ask(self, version: str, loaded: Loaded) -> None:
        """From any thread: load it beside the live one, and call back with a pin of it."""
        self._asked.append((version, loaded))
        self._wake.set()

    def run(self) -> None:
        """Look every `poll_interval_s` until stopped."""
        _step_back()
        pause_s = 0.0
        while not self._stopping.is_set():
            self._wake.wait(pause_s)
            self._wake.clear()
            while self._asked and not self._stopping.is_set():
                version, loaded = self._asked.popleft()
                loaded(self._load_asked(version))
            pause_s = self._look()

    def _load_asked(self, version: str) -> Pin | RiverrunError:
        """Load what a request named; what it says when that cannot be."""
        slots = self._engine.slots
        try:
            # A request before this one may have brought it.
            pin = slots.pin_version(version)
            if pin is not None:
                return pin
            slot = slots.stage_asked()
            return slots.keep_asked(self._load(version, slot))
        except VersionRefused as error:
            self._tally.refused()
            log.error("%s, which a request asked for, is refused: %s", version, error)
            return error
        except RiverrunError as error:
            return error
        except Exception as error:
            self._tally.metrics.store_faults.inc()
            log.exception("%s, which a request asked for, could not be loaded", version)
            return StoreError(f"{version} could not be loaded: {type(error).__name__}")
        finally:
            slots.give_back()

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
                self._engine.offer(self._load(version, slot))
                self._offered = version
        except VersionRefused as error:
            self._refused = version
            self._tally.refused()
            log.error("%s is refused, %s stays: %s", version, self._offered, error)
        except UnknownVersion as error:
            log.warning("%s", error)
        except Exception:
            # Neither one version nor a store that is away may end serving: the old weights stay.
            self._tally.metrics.store_faults.inc()
            log.exception(
                "%s could not be loaded, %s stays: trying again",
                version or "what is newest",
                self._offered,
            )
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

    def _load(self, version: str, slot: Slot) -> Manifest:
        started = time.perf_counter()
        manifest = self._store.manifest(version)
        if manifest.deferral is not None:
            self._load_origin(manifest.deferral.origin)
        with self._store.weights(version) as path:
            load_into(slot.model, path, version, self._pause())
        self._tally.metrics.load_seconds.observe(time.perf_counter() - started)
        log.debug("%s loaded in %.3f s", version, time.perf_counter() - started)
        return manifest

    def _load_origin(self, sha256: str) -> None:
        """What a version defers to, before it is served; one for all of a line."""
        slots = self._engine.slots
        if slots.has_origin(sha256):
            return
        slot = slots.stage_origin()
        with self._store.origin(sha256) as path:
            load_into(slot.model, path, f"origin {sha256[:8]}", self._pause())
        slots.keep_origin(slot, sha256)


def _step_back() -> None:
    """Give this thread, alone, a low priority; Linux can, elsewhere the pauses must do."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
