"""`riverrun.v1.Model`: what answers now, and how busy it is.

Called by gRPC; reads the state and counts nothing itself.
"""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from grpc.aio import ServicerContext

from riverrun.errors import InvalidValue
from riverrun.v1 import model_pb2 as pb
from riverrun.v1 import model_pb2_grpc as rpc
from serving.services.version_proto import version_proto
from serving.state import State

STATES = {
    "loading": pb.STATE_LOADING,
    "serving": pb.STATE_SERVING,
    "draining": pb.STATE_DRAINING,
}
DEFAULT_INTERVAL_MS = 500
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 10, 60_000
LONGEST_SILENCE_S = 10.0

if TYPE_CHECKING:  # generic in the stubs alone
    GetContext = ServicerContext[pb.GetStatusRequest, pb.GetStatusResponse]
    WatchContext = ServicerContext[pb.WatchStatusRequest, pb.WatchStatusResponse]


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
