"""Waiting until the weights that are live are what a request wants.

A request that waits holds no row and no place in the engine's queue. Only the event loop touches
this; `serving/live_model.py` calls `swapped` on it.
"""

import asyncio
import time

from riverrun.errors import VersionNotYet
from riverrun.store import Manifest
from serving.requests.version_choice import Wanted
from serving.slots import Pin, Slots
from serving.version_catalog import VersionCatalog

MAX_WALK = 10_000
"""Parents looked at to tell whether a version descends from another; beyond that, a later step of
the same run does."""


class Swaps:
    """Tells when other weights are live."""

    def __init__(self, slots: Slots, catalog: VersionCatalog) -> None:
        self._slots = slots
        self._catalog = catalog
        self._next = asyncio.Event()

    def swapped(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    async def pin(self, wanted: Wanted, deadline: float) -> Pin:
        """The live weights, as soon as they are what is wanted; `deadline` is monotonic.

        Raises:
            VersionNotYet: they are not in time.
            UnknownVersion: `min_version` is none.
        """
        started = time.monotonic()
        line = None if wanted.min_version is None else await self._line(wanted.min_version)
        while True:
            swap = self._next
            live = self._slots.live
            if line is not None and live is not None:
                await line.look(live)

            def accepts(manifest: Manifest) -> bool:
                return _covers(manifest, wanted) and (line is None or line.holds(manifest))

            pin = self._slots.pin_live_if(accepts)
            if pin is not None:
                return pin
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise self._not_yet(wanted, time.monotonic() - started)
            if swap is self._next:
                waiting = asyncio.ensure_future(swap.wait())
                try:
                    await asyncio.wait({waiting}, timeout=left_s)
                finally:
                    waiting.cancel()

    async def _line(self, version: str) -> "Line":
        return Line(await asyncio.to_thread(self._catalog.manifest, version), self._catalog)

    def _not_yet(self, wanted: Wanted, waited_s: float) -> VersionNotYet:
        live = self._slots.live
        assert live is not None, "a server that answers has weights"
        offsets = live.offsets
        shown = ",".join(f"{p}:{offsets.get(p, 0)}" for p in sorted(wanted.after)[:16])
        return VersionNotYet(_named(wanted), waited_s, live.version, live.step, shown)


class Line:
    """The versions that are `first` or descend from it, as far as they were looked at."""

    def __init__(self, first: Manifest, catalog: VersionCatalog) -> None:
        self._first = first
        self._catalog = catalog
        self._known = {first.version: True}

    def holds(self, manifest: Manifest) -> bool:
        return self._known.get(manifest.version, False)

    async def look(self, manifest: Manifest) -> None:
        """Find out about this version; reads the store, on another thread."""
        if manifest.version not in self._known:
            found = await asyncio.to_thread(self._descends, manifest)
            self._known[manifest.version] = found

    def _descends(self, manifest: Manifest) -> bool:
        last = manifest
        for last in self._catalog.line(manifest.version, MAX_WALK):
            if last.version in self._known:
                return self._known[last.version]
            if last.step < self._first.step:
                return False
        # The line goes back further than the store, or than we look.
        return last.parent is not None and manifest.run == self._first.run


def _covers(manifest: Manifest, wanted: Wanted) -> bool:
    return manifest.step >= wanted.min_step and all(
        manifest.offsets.get(partition, 0) > offset for partition, offset in wanted.after.items()
    )


def _named(wanted: Wanted) -> str:
    names = []
    if wanted.min_version:
        names.append(f"{wanted.min_version} or later")
    if wanted.min_step:
        names.append(f"step {wanted.min_step}")
    if wanted.after:
        shown = ", ".join(f"{p}:{o}" for p, o in sorted(wanted.after.items())[:16])
        names.append(f"offset {shown} (partition:offset)")
    return " and ".join(names)
