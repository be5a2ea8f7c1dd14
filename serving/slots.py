"""The sets of weights: one is live, an older one may still answer, one is being loaded.

A slot goes round: free → staging (the watcher writes it) → offered → live → old, while sequences
are pinned to it → free. A slot that is live, offered or pinned is never written; that is all that
keeps a reply from mixing two versions, and it holds here and nowhere else.

The watcher's thread stages and offers, the engine's thread swaps, pins and unpins. Knows nothing
of files, caches or sequences.
"""

import threading

import torch

from riverrun.model.config import ModelConfig
from riverrun.store import Manifest
from serving.lean_model import LeanModel
from serving.products import Precision


class Slot:
    """One set of weights. Its memory is taken when it is first written, and then kept."""

    def __init__(
        self, number: int, config: ModelConfig, precision: Precision, device: torch.device | str
    ) -> None:
        self.number = number
        self.manifest: Manifest | None = None
        self.num_pins = 0
        self._config = config
        self._precision = precision
        self._device = device
        self._model: LeanModel | None = None

    @property
    def model(self) -> LeanModel:
        if self._model is None:
            self._model = LeanModel(self._config, precision=self._precision, device=self._device)
        return self._model


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

    # The watcher

    def stage(self, timeout_s: float) -> Slot | None:
        """A slot to write, once one is free; None when none is within `timeout_s`."""
        with self._changed:
            assert self._staging is None, "one version is loaded at a time"
            if not self._changed.wait_for(lambda: self._free() is not None, timeout_s):
                return None
            self._staging = slot = self._free()
            assert slot is not None
            slot.manifest = None
            return slot

    def offer(self, manifest: Manifest) -> None:
        """The staged slot holds this version: the engine may take it from now on."""
        with self._changed:
            assert self._staging is not None
            self._staging.manifest = manifest
            # One that was offered and not taken yet is free again: newer weights are here.
            self._offered, self._staging = self._staging, None
            self._changed.notify_all()

    def give_back(self) -> None:
        """The staged slot holds nothing to serve."""
        with self._changed:
            self._staging = None
            self._changed.notify_all()

    def _free(self) -> Slot | None:
        taken = (self._live, self._offered, self._staging)
        free = (slot for slot in self._slots if slot.num_pins == 0 and slot not in taken)
        return next(free, None)

    # The engine

    @property
    def has_offer(self) -> bool:
        return self._offered is not None

    @property
    def live(self) -> Manifest | None:
        """What new sequences are pinned to."""
        slot = self._live
        return None if slot is None else slot.manifest

    def swap(self) -> Manifest | None:
        """Make the offered slot live; its manifest, or None when nothing was offered."""
        with self._changed:
            if self._offered is None:
                return None
            self._live, self._offered = self._offered, None
            self._changed.notify_all()
            return self._live.manifest

    def pin(self) -> Slot:
        """The live slot, not to be written before it is unpinned."""
        with self._changed:
            assert self._live is not None, "nothing is admitted before the first version"
            self._live.num_pins += 1
            return self._live

    def unpin(self, slot: Slot) -> None:
        with self._changed:
            assert slot.num_pins > 0
            slot.num_pins -= 1
            if slot.num_pins == 0:
                self._changed.notify_all()
