"""The serving process: listen, bring the first version up, serve, drain, end.

Three threads: this one runs the event loop, the engine's owns the model, the watcher's loads
versions. A fault in any of them ends the process, and the supervisor starts it again.
Called by `riverrun serving`.
"""

import asyncio
import logging
from typing import Any

import torch

from riverrun.device import device_of
from riverrun.metrics import ServingMetrics
from riverrun.process import Running, process
from riverrun.settings import Settings
from riverrun.store import Manifest, VersionStore, store_of
from serving.call import RequestIds
from serving.fronts import Fronts
from serving.live_model import LiveModel
from serving.state import State
from serving.tally import Tally

log = logging.getLogger(__name__)

LAST_GRACE_S = 0.5
"""For calls that are no answers (status, health), once the answers have ended."""


def run(settings: Settings) -> None:
    """Serve until told to stop.

    Raises:
        DataDirInUse, RiverrunError: it runs there already; the port is taken.
        ModelError: the store's model files are unusable.
        InvalidValue: an address that may not be listened on; certificates or tokens not usable.
    """
    with process("serving", settings, settings.serving.metrics_port) as running:
        for handler in logging.getLogger().handlers:
            handler.addFilter(RequestIds())
        if settings.serving.num_threads:
            torch.set_num_threads(settings.serving.num_threads)
        asyncio.run(serve(settings, running))


async def serve(settings: Settings, running: Running) -> None:
    stop = _stop_event(running)
    tally = Tally(ServingMetrics(running.registry))
    state = State(settings, tally, started_ms=int(running.started_at * 1000))
    fronts = Fronts(settings, running, state)
    await fronts.start()
    fronts.announce("starting", detail="waits for the first version")

    stopping = asyncio.create_task(stop.wait())
    answering = asyncio.create_task(_answer(settings, running, state, fronts))
    await asyncio.wait({stopping, answering}, return_when=asyncio.FIRST_COMPLETED)

    await fronts.grpc.set_draining()
    fronts.announce("draining")
    # After a fault there is nobody who could end the open answers.
    num_left = await state.drain(0 if answering.done() else settings.serving.drain_timeout_s)
    if num_left:
        log.warning("%d answers are cut off by the end of the drain", num_left)
    await fronts.stop(LAST_GRACE_S)
    await state.close()
    if not answering.done():
        answering.cancel()
    stopping.cancel()
    (fault, _) = await asyncio.gather(answering, stopping, return_exceptions=True)
    if isinstance(fault, Exception):
        raise fault


async def _answer(settings: Settings, running: Running, state: State, fronts: Fronts) -> None:
    """Bring the first version up and serve, until cancelled or a thread fails."""
    loop = asyncio.get_running_loop()
    store = store_of(settings)
    await asyncio.to_thread(_wait_for_a_version, store, running, settings.serving.poll_interval_s)
    if running.stop.is_set():
        return
    directory = await asyncio.to_thread(
        store.model_files, running.workspace.directory("serving", "model")
    )
    is_live = asyncio.Event()

    def on_swap(manifest: Manifest) -> None:
        log.debug("%s is live", manifest.version)
        loop.call_soon_threadsafe(is_live.set)

    live = await asyncio.to_thread(
        LiveModel,
        settings.serving,
        store,
        directory,
        state.tally,
        device=device_of(settings.device),
        loop=loop,
        on_swap=on_swap,
    )
    threads: list[asyncio.Future[Any]] = [asyncio.wrap_future(future) for future in live.start()]
    first: asyncio.Future[Any] = asyncio.create_task(is_live.wait())
    try:
        await asyncio.wait([first, *threads], return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            state.serve(live.engine, live.tokenizer, live.pinning)
            await fronts.grpc.set_serving()
            if state.phase == "serving":
                fronts.announce("ready")
        await asyncio.wait(threads, return_when=asyncio.FIRST_COMPLETED)
    finally:
        first.cancel()
        live.stop()
        # Both end within a step or a load; the first fault is the one to tell.
        faults = await asyncio.gather(*threads, return_exceptions=True)
    for fault in faults:
        if isinstance(fault, Exception):
            raise fault


def _wait_for_a_version(store: VersionStore, running: Running, poll_interval_s: float) -> None:
    while store.promoted() is None and not running.stop.wait(poll_interval_s):
        continue


def _stop_event(running: Running) -> asyncio.Event:
    """Set on the event loop once the process is asked to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def ask() -> None:
        if not loop.is_closed():  # a process that ends by a fault of its own needs no asking
            loop.call_soon_threadsafe(stop.set)

    running.on_stop.append(ask)
    if running.stop.is_set():
        stop.set()
    return stop
