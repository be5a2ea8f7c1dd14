"""From what a request wants to the weights that answer it, pinned.

A version by its id is taken where it lies, or loaded by the watcher into a free slot; a minimum is
waited for. Requests that wait here hold no row; how many may is bounded. Only the event loop
touches this. Called by `serving/services/`.
"""

import asyncio
import time
from collections.abc import Callable

from riverrun.errors import Overloaded, RiverrunError, VersionNotYet
from serving.await_version import Swaps
from serving.requests.version_choice import Wanted
from serving.slots import Pin, Slots
from serving.tally import Tally
from serving.version_catalog import VersionCatalog

Loaded = Callable[[Pin | RiverrunError], None]
Load = Callable[[str, Loaded], None]
"""Asks for a version to be loaded; calls back on another thread."""

RETRY_AFTER_S = 1.0


class Pinning:
    """Finds weights. Made by `serving/live_model.py`."""

    def __init__(
        self,
        slots: Slots,
        catalog: VersionCatalog,
        load: Load,
        tally: Tally,
        *,
        max_wait_s: float,
        max_waits: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.swaps = Swaps(slots, catalog)
        self._slots = slots
        self._catalog = catalog
        self._load = load
        self._tally = tally
        self._max_wait_s = max_wait_s
        self._max_waits = max_waits
        self._num_waits = 0
        self._loading: dict[str, list[asyncio.Future[Pin]]] = {}
        self._loop = loop

    async def pin(self, wanted: Wanted, deadline: float | None) -> Pin | None:
        """What is wanted, pinned; None where anything that is live at admission will do.

        deadline: monotonic; None takes serving.max_version_wait_s.

        Raises:
            UnknownVersion, VersionGone, VersionRefused: there are no such weights.
            Overloaded: too many wait, or no slot may take the version.
            VersionNotYet: not in time.
        """
        if wanted == Wanted(follows=wanted.follows, never_defers=wanted.never_defers):
            return None
        if self._num_waits >= self._max_waits:
            raise Overloaded(
                f"{self._num_waits} requests wait for a version or an offset, as many as may "
                "(serving.max_version_waits)",
                RETRY_AFTER_S,
            )
        if deadline is None:
            deadline = time.monotonic() + self._max_wait_s
        self._count(1)
        try:
            if wanted.version is None:
                return await self.swaps.pin(wanted, deadline)
            return await self._pin_version(wanted.version, deadline)
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        self._num_waits += more
        self._tally.metrics.version_waits.set(self._num_waits)

    async def _pin_version(self, version: str, deadline: float) -> Pin:
        pin = self._slots.pin_version(version)
        if pin is not None:
            return pin
        await asyncio.to_thread(self._catalog.require_weights, version)
        started = time.monotonic()
        future: asyncio.Future[Pin] = self._loop.create_future()
        waiting = self._loading.get(version)
        if waiting is None:
            waiting = self._loading[version] = []
            self._load(version, lambda found: self._hand_over(version, found))
        waiting.append(future)
        taken = False
        try:
            await asyncio.wait({future}, timeout=max(0.0, deadline - time.monotonic()))
            taken = future.done()
        finally:
            if not taken:
                self._let_go(future)
        if not future.done() or future.cancelled():
            raise self._not_loaded(version, time.monotonic() - started)
        return future.result()

    def _hand_over(self, version: str, found: Pin | RiverrunError) -> None:
        """From the watcher's thread: give each who waits a pin of his own, or the error."""

        def hand_over() -> None:
            for future in self._loading.pop(version, ()):
                if future.done():
                    continue
                if isinstance(found, Pin):
                    future.set_result(found.again())
                else:
                    future.set_exception(found)
            if isinstance(found, Pin):
                found.release()

        self._loop.call_soon_threadsafe(hand_over)

    def _let_go(self, future: "asyncio.Future[Pin]") -> None:
        """Nobody waits any more: a pin that came in this moment is released."""
        if not future.done():
            future.cancel()
        elif future.exception() is None:
            future.result().release()

    def _not_loaded(self, version: str, waited_s: float) -> VersionNotYet:
        live = self._slots.live
        assert live is not None, "a server that answers has weights"
        return VersionNotYet(version, waited_s, live.version, live.step)
