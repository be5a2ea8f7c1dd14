"""Engine and watcher with all that they need, made from a store that has a version, each on its
thread.

Knows nothing of gRPC. Called by `serving/main.py`.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from riverrun.model.files import load_config
from riverrun.settings import ServingSettings
from riverrun.store import Manifest, VersionStore
from riverrun.tokenizer import Tokenizer
from serving.cache import SlottedCache, check_budget
from serving.engine import Deliveries, Engine
from serving.pinning import Pinning
from serving.precision import choose
from serving.prefill import prefill_tokens
from serving.slots import Slots
from serving.tally import Tally
from serving.version_catalog import VersionCatalog
from serving.watcher import Watcher

log = logging.getLogger(__name__)


class LiveModel:
    """One model's newest version, ready to answer."""

    def __init__(
        self,
        settings: ServingSettings,
        store: VersionStore,
        directory: Path,
        tally: Tally,
        *,
        device: torch.device,
        loop: asyncio.AbstractEventLoop,
        on_swap: Callable[[Manifest], None],
    ) -> None:
        """
        Raises:
            ModelError: `directory` has no configuration or tokenizer that we can use.
            InvalidValue: the cache does not fit its budget, or the precision this machine.
        """
        config = load_config(directory)
        self.tokenizer = Tokenizer(directory)
        context_tokens = min(settings.context_tokens, config.max_positions)
        # For CUDA graphs (`decode_graphs.py`).
        num_spare = 1 if device.type == "cuda" else 0
        check_budget(
            config,
            max_rows=settings.max_rows,
            num_spare=num_spare,
            context_tokens=context_tokens,
            budget_bytes=settings.cache_mb * 1_000_000,
        )
        slots = Slots(
            config,
            num_slots=settings.weight_slots,
            precision=choose(config, settings.precision, device),
            device=device,
        )
        cache = SlottedCache(
            config,
            max_rows=settings.max_rows,
            context_tokens=context_tokens,
            device=device,
            num_spare=num_spare,
        )
        log.info("%d cache rows take %.0f MB", settings.max_rows, cache.num_bytes / 1e6)

        def deliver(deliveries: Deliveries) -> None:
            loop.call_soon_threadsafe(hand_out, deliveries)

        def swapped(manifest: Manifest) -> None:
            on_swap(manifest)
            loop.call_soon_threadsafe(self.pinning.swaps.swapped)

        self.engine = Engine(
            slots,
            cache,
            tally,
            eos_ids=self.tokenizer.eos_ids,
            deliver=deliver,
            on_swap=swapped,
            max_waiting=settings.max_waiting,
            prefill_tokens=prefill_tokens(config, settings.prefill_tokens),
            chunk_interval_s=settings.chunk_interval_s,
            max_waiting_tokens=settings.max_waiting_tokens,
            reuse_prefixes=settings.reuse_prefixes,
            max_pin_s=settings.max_pin_s,
        )
        self._watcher = Watcher(store, self.engine, tally, poll_interval_s=settings.poll_interval_s)
        self.pinning = Pinning(
            slots,
            VersionCatalog(store),
            self._watcher.ask,
            tally,
            max_wait_s=settings.max_version_wait_s,
            max_waits=settings.max_version_waits,
            loop=loop,
        )
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="serving")

    def start(self) -> list[Future[None]]:
        """Both threads' futures: they end when stopped, or with the fault that ended them."""
        return [self._threads.submit(self._watcher.run), self._threads.submit(self.engine.run)]

    def stop(self) -> None:
        """End both threads; open sequences get no more tokens."""
        self._watcher.stop()
        self.engine.stop()
        self._threads.shutdown(wait=False)


def hand_out(deliveries: Deliveries) -> None:
    """Put each delta where its stream takes it; on the event loop."""
    for sequence, delta in deliveries:
        sequence.sink(delta)
