"""The sets of weights: one is live, older ones may still answer, one is being loaded.

A slot goes round: free → staging (the watcher writes it) → offered → live → old, while sequences
are pinned to it → free. One that was loaded because a request asked for its version by id is kept
while it is pinned. A slot that is live, offered or pinned is never written; that is all that keeps
a reply from mixing two versions, and it holds here and nowhere else.

One more set of weights stands beside them: the origin's, to which versions defer
(`serving/deferral.py`). It is loaded once and never written again. Versions of two lines may differ
in their origin: each keeps its own, while a slot holds such a version.

Two slots are out of reach of requests that name a version: the live one, and one for the next. So
whatever clients pin, a swap waits for a slot no longer than `serving.max_pin_s`.

The watcher's thread stages and offers, the engine's thread swaps, the engine's and the event loop's
pin and unpin. Knows nothing of files, caches or sequences.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

import torch

from riverrun.errors import Overloaded
from riverrun.model.config import ModelConfig
from riverrun.store import Manifest
from serving.lean_model import LeanModel
from serving.products import Precision

RETRY_AFTER_S = 1.0


class Slot:
    """One set of weights. Its memory is taken when it is first written, and then kept.

    num_pins: whoever needs it unwritten; num_asked: those of them that named its version while it
    was not live. superseded_at: when another version took its place, monotonic seconds. origin: the
    SHA-256 of the weights, where they are no version's but those that versions defer to.
    """

    def __init__(
        self, number: int, config: ModelConfig, precision: Precision, device: torch.device | str
    ) -> None:
        self.number = number
        self.manifest: Manifest | None = None
        self.origin: str | None = None
        self.num_pins = 0
        self.num_asked = 0
        self.superseded_at: float | None = None
        self.freed_at = 0.0
        self._config = config
        self._precision = precision
        self._device = device
        self._model: LeanModel | None = None

    @property
    def model(self) -> LeanModel:
        if self._model is None:
            self._model = LeanModel(self._config, precision=self._precision, device=self._device)
        return self._model

    @property
    def has_memory(self) -> bool:
        return self._model is not None

    @property
    def weights_key(self) -> str:
        """What tells these weights from all others."""
        if self.origin is not None:
            return f"origin {self.origin}"
        assert self.manifest is not None, "a slot that is run has weights"
        return self.manifest.version


class Pin:
    """Keeps a slot from being written until it is released, once.

    manifest: the version that it answers for; the slot's own, or one that defers to the slot.
    """

    __slots__ = ("_is_asked", "_slots", "at", "manifest", "slot")

    def __init__(self, slots: "Slots", slot: Slot, manifest: Manifest, *, is_asked: bool) -> None:
        self.slot = slot
        self.manifest = manifest
        self.at = time.monotonic()
        self._slots: Slots | None = slots
        self._is_asked = is_asked

    def again(self) -> "Pin":
        """Another pin of the same slot."""
        assert self._slots is not None, "a released pin holds nothing"
        return self._slots.pin_again(self)

    @property
    def is_asked(self) -> bool:
        return self._is_asked

    @property
    def is_deferred(self) -> bool:
        """Whether the origin's weights answer for the version."""
        return self.slot.origin is not None

    def release(self) -> None:
        """Harmless after the first time."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.unpin(self.slot, is_asked=self._is_asked)


class Slots:
    """`num_slots` sets of weights of one model, and which of them is what."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        num_slots: int = 3,
        precision: Precision = "float32",
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self._slots = [Slot(number, config, precision, device) for number in range(num_slots)]
        self._changed = threading.Condition()
        self._live: Slot | None = None
        self._offered: Slot | None = None
        self._staging: Slot | None = None
        self._origins: dict[str, Slot] = {}
        self._new_slot = partial(Slot, len(self._slots), config, precision, device)

    # The watcher

    def has_origin(self, sha256: str) -> bool:
        """Whether versions can defer to the weights with this hash."""
        return sha256 in self._origins

    def stage_origin(self) -> Slot:
        """A slot to write; nobody sees it before `keep_origin`."""
        return self._new_slot()

    def keep_origin(self, slot: Slot, sha256: str) -> None:
        """Versions can defer to what the slot holds; what no version here defers to is let go,
        once the answers that run on it have ended."""
        slot.origin = sha256
        with self._changed:
            manifests = [one.manifest for one in self._slots if one.manifest is not None]
            named = {one.deferral.origin for one in manifests if one.deferral is not None}
            kept = {key: one for key, one in self._origins.items() if key in named}
            self._origins = {**kept, sha256: slot}

    def stage(self, timeout_s: float) -> Slot | None:
        """A slot to write, once one is free; None when none is within `timeout_s`."""
        with self._changed:
            assert self._staging is None, "one version is loaded at a time"
            if not self._changed.wait_for(lambda: bool(self._free()), timeout_s):
                return None
            return self._stage()

    def stage_asked(self) -> Slot:
        """A slot to write for a request that names a version.

        Raises:
            Overloaded: others hold as many as may be, or the last free one is the next version's.
        """
        with self._changed:
            assert self._staging is None, "one version is loaded at a time"
            self._check_asked()
            if len(self._free()) < 2:
                raise _all_in_use()
            return self._stage()

    def _stage(self) -> Slot:
        self._staging = slot = self._free()[0]
        slot.manifest = slot.superseded_at = None
        return slot

    def offer(self, manifest: Manifest) -> None:
        """The staged slot holds this version: the engine may take it from now on."""
        with self._changed:
            assert self._staging is not None
            self._staging.manifest = manifest
            # One that was offered and not taken yet is free again: newer weights are here.
            self._offered, self._staging = self._staging, None
            self._changed.notify_all()

    def keep_asked(self, manifest: Manifest) -> Pin:
        """The staged slot holds this version, for those who name it; pinned, for them to take."""
        with self._changed:
            assert self._staging is not None
            slot, self._staging = self._staging, None
            slot.manifest = manifest
            return self._pin(slot, is_asked=True)

    def give_back(self) -> None:
        """The staged slot holds nothing to serve."""
        with self._changed:
            self._staging = None
            self._changed.notify_all()

    def _free(self) -> list[Slot]:
        """Those that may be written, the best first: with memory already, and left longest ago."""
        taken = (self._live, self._offered, self._staging)
        free = [slot for slot in self._slots if slot.num_pins == 0 and slot not in taken]
        return sorted(free, key=lambda slot: (not slot.has_memory, slot.freed_at))

    # The engine

    @property
    def has_offer(self) -> bool:
        return self._offered is not None

    @property
    def live(self) -> Manifest | None:
        """What new sequences are pinned to."""
        slot = self._live
        return None if slot is None else slot.manifest

    def is_current(self, slot: Slot) -> bool:
        """Whether no newer weights took its place: the live ones, and the origin's."""
        return slot is self._live or slot.origin is not None

    def swap(self) -> Manifest | None:
        """Make the offered slot live; its manifest, or None when nothing was offered."""
        with self._changed:
            if self._offered is None:
                return None
            if self._live is not None:
                self._live.superseded_at = self._live.freed_at = time.monotonic()
            self._live, self._offered = self._offered, None
            self._live.superseded_at = None
            self._changed.notify_all()
            return self._live.manifest

    # Whoever needs weights to stay as they are

    def pin(self) -> Pin:
        """The live slot, not to be written before the pin is released."""
        with self._changed:
            assert self._live is not None, "nothing is admitted before the first version"
            return self._pin(self._live, is_asked=False)

    def pin_live_if(self, accepts: Callable[[Manifest], bool]) -> Pin | None:
        """The live slot, if its version is acceptable."""
        with self._changed:
            if self._live is None or self._live.manifest is None:
                return None
            return self._pin(self._live, is_asked=False) if accepts(self._live.manifest) else None

    def pin_version(self, version: str) -> Pin | None:
        """A slot that holds this version already.

        Raises:
            Overloaded: it is an old one's, and others hold as many of these as may be.
        """
        with self._changed:
            for slot in self._slots:
                manifest = slot.manifest
                if slot is self._staging or manifest is None or manifest.version != version:
                    continue
                is_asked = slot not in (self._live, self._offered)
                if is_asked and slot.num_asked == 0:
                    self._check_asked()
                return self._pin(slot, is_asked=is_asked)
        return None

    def pin_origin(self, pin: Pin) -> Pin:
        """The weights that the pinned version defers to, to answer for it."""
        with self._changed:
            assert pin.manifest.deferral is not None, "this version answers all"
            # Loaded before the version, and kept while the pin keeps its slot from being written.
            origin = self._origins[pin.manifest.deferral.origin]
            return self._pin(origin, is_asked=False, manifest=pin.manifest)

    def pin_again(self, pin: Pin) -> Pin:
        with self._changed:
            assert pin.slot.num_pins > 0, "only what is pinned can be pinned again"
            return self._pin(pin.slot, is_asked=pin.is_asked, manifest=pin.manifest)

    def unpin(self, slot: Slot, *, is_asked: bool) -> None:
        with self._changed:
            assert slot.num_pins > 0
            slot.num_pins -= 1
            slot.num_asked -= is_asked
            if slot.num_pins == 0:
                slot.freed_at = time.monotonic()
                self._changed.notify_all()

    def _pin(self, slot: Slot, *, is_asked: bool, manifest: Manifest | None = None) -> Pin:
        manifest = manifest or slot.manifest
        assert manifest is not None, "what is pinned is a version, or answers for one"
        slot.num_pins += 1
        slot.num_asked += is_asked
        return Pin(self, slot, manifest, is_asked=is_asked)

    def _check_asked(self) -> None:
        if sum(slot.num_asked > 0 for slot in self._slots) >= len(self._slots) - 2:
            raise _all_in_use()


def _all_in_use() -> Overloaded:
    return Overloaded(
        "all sets of weights that may hold a version asked for by id are in use "
        "(serving.weight_slots - 2)",
        RETRY_AFTER_S,
    )
