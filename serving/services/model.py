"""`riverrun.v1.Model`: what answers now, how busy it is, and the versions behind it.

Called by gRPC; reads the state and the store, and counts nothing itself.
"""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from grpc.aio import ServicerContext

from riverrun.errors import InvalidValue, NotServing
from riverrun.v1 import model_pb2 as pb
from riverrun.v1 import model_pb2_grpc as rpc
from serving.requests.identifiers import version_name
from serving.services.trace import events_of
from serving.services.version_proto import stored_proto, version_proto
from serving.state import State

STATES = {
    "loading": pb.STATE_LOADING,
    "serving": pb.STATE_SERVING,
    "draining": pb.STATE_DRAINING,
}
DEFAULT_INTERVAL_MS = 500
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 10, 60_000
LONGEST_SILENCE_S = 10.0
DEFAULT_PAGE, MAX_PAGE = 100, 1000
MAX_TRACED = 100_000

if TYPE_CHECKING:  # generic in the stubs alone
    GetContext = ServicerContext[pb.GetStatusRequest, pb.GetStatusResponse]
    WatchContext = ServicerContext[pb.WatchStatusRequest, pb.WatchStatusResponse]
    Context = ServicerContext[Any, Any]


class Model(rpc.ModelServicer):
    """Tells the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: "GetContext"
    ) -> pb.GetStatusResponse:
        del request, context
        return pb.GetStatusResponse(status=status_of(self._state))

    async def WatchStatus(self, request: pb.WatchStatusRequest, context: "WatchContext") -> None:
        interval_s = _interval_s(request.interval_ms)
        sent: pb.Status | None = None
        sent_at = 0.0
        while not self._state.closing.is_set():
            status = status_of(self._state)
            now = time.monotonic()
            if status != sent or now - sent_at + interval_s > LONGEST_SILENCE_S:
                await context.write(pb.WatchStatusResponse(status=status))
                sent, sent_at = status, now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._state.closing.wait(), interval_s)

    async def ListVersions(
        self, request: pb.ListVersionsRequest, context: "Context"
    ) -> pb.ListVersionsResponse:
        if request.page_size > MAX_PAGE:
            allowed = f"1 to {MAX_PAGE}, or 0 for {DEFAULT_PAGE}"
            raise InvalidValue("page_size", request.page_size, allowed)
        if request.page_token:
            version_name("page_token", request.page_token)
        size = request.page_size or DEFAULT_PAGE

        def read() -> pb.ListVersionsResponse:
            manifests, token = self._state.catalog.page(size, request.page_token)
            promoted, live = self._state.store.promoted(), self._live()
            stored = [stored_proto(one, self._state.store, promoted, live) for one in manifests]
            return pb.ListVersionsResponse(versions=stored, next_page_token=token)

        return await asyncio.to_thread(read)

    async def GetVersion(
        self, request: pb.GetVersionRequest, context: "Context"
    ) -> pb.GetVersionResponse:
        version = self._named(request.id)

        def read() -> pb.GetVersionResponse:
            manifest = self._state.catalog.manifest(version)
            promoted = self._state.store.promoted()
            stored = stored_proto(manifest, self._state.store, promoted, self._live())
            return pb.GetVersionResponse(version=stored)

        return await asyncio.to_thread(read)

    async def TraceVersion(self, request: pb.TraceVersionRequest, context: "Context") -> None:
        if request.max_versions > MAX_TRACED:
            allowed = f"1 to {MAX_TRACED}, or 0 for 1"
            raise InvalidValue("max_versions", request.max_versions, allowed)
        line = self._state.catalog.line(self._named(request.id), request.max_versions or 1)
        settings = self._state.settings if request.documents else None
        async with contextlib.aclosing(events_of(line, settings)) as events:
            async for event in events:
                await context.write(event)

    def _live(self) -> str | None:
        engine = self._state.engine
        live = None if engine is None else engine.slots.live
        return None if live is None else live.version

    def _named(self, version: str) -> str:
        """The id that is asked for; an empty one means what is live."""
        if version:
            return version_name("id", version)
        live = self._live()
        if live is None:
            raise NotServing("no version yet: the first one is still to be loaded")
        return live


def _interval_s(interval_ms: int) -> float:
    if interval_ms and not MIN_INTERVAL_MS <= interval_ms <= MAX_INTERVAL_MS:
        raise InvalidValue(
            "interval_ms", interval_ms, f"{MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}, or 0 for 500"
        )
    return (interval_ms or DEFAULT_INTERVAL_MS) / 1000


def status_of(state: State) -> pb.Status:
    """The state at this moment."""
    tally, engine = state.tally, state.engine
    live = None if engine is None else engine.slots.live
    return pb.Status(
        state=STATES[state.phase],
        model=state.model if live is None else live.model,
        version=None if live is None else version_proto(live),
        context_tokens=0 if engine is None else engine.cache.context_tokens,
        started_ms=state.started_ms,
        swaps=tally.swaps,
        refused_versions=tally.refused_versions,
        freshness_s=tally.freshness_s,
        load=pb.Load(
            rows=0 if engine is None else engine.num_rows,
            waiting=0 if engine is None else engine.num_waiting,
            served=tally.served,
            failed=tally.failed,
            generated_tokens=tally.generated_tokens,
            tokens_per_s=tally.tokens_per_s(time.perf_counter()),
        ),
    )
