"""`riverrun.v1.Admin`: what operators tell the learner.

Called by gRPC. What the learner is expected to answer stands in `serving/commander.py`.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from riverrun.commands import CommandKind
from riverrun.v1 import admin_pb2 as pb
from riverrun.v1 import admin_pb2_grpc as rpc
from serving.call import current_call
from serving.commander import Commanded
from serving.requests.identifiers import version_name
from serving.requests.orders import command_of, source_of, undone_by, wait_s
from serving.state import State

if TYPE_CHECKING:  # generic in the stubs alone
    from grpc.aio import ServicerContext

    Context = ServicerContext[Any, Any]

MARGIN_S = 0.25
"""Before the call's deadline: time for our own answer to arrive."""

log = logging.getLogger(__name__)


class Admin(rpc.AdminServicer):
    """Writes records of the `control` topic and waits for the learner."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def Promote(self, request: pb.PromoteRequest, context: "Context") -> pb.PromoteResponse:
        version = await self._servable(request.version_id)
        outcome = await self._send("promote", request.order, context, version=version)
        return pb.PromoteResponse(outcome=outcome)

    async def Hold(self, request: pb.HoldRequest, context: "Context") -> pb.HoldResponse:
        return pb.HoldResponse(outcome=await self._send("hold", request.order, context))

    async def Release(self, request: pb.ReleaseRequest, context: "Context") -> pb.ReleaseResponse:
        return pb.ReleaseResponse(outcome=await self._send("release", request.order, context))

    async def RollBack(
        self, request: pb.RollBackRequest, context: "Context"
    ) -> pb.RollBackResponse:
        version = await self._servable(request.version_id) if request.version_id else None
        outcome = await self._send("roll_back", request.order, context, version=version)
        return pb.RollBackResponse(outcome=outcome)

    async def PauseLearning(
        self, request: pb.PauseLearningRequest, context: "Context"
    ) -> pb.PauseLearningResponse:
        return pb.PauseLearningResponse(outcome=await self._send("pause", request.order, context))

    async def ResumeLearning(
        self, request: pb.ResumeLearningRequest, context: "Context"
    ) -> pb.ResumeLearningResponse:
        outcome = await self._send("resume", request.order, context)
        return pb.ResumeLearningResponse(outcome=outcome)

    async def Undo(self, request: pb.UndoRequest, context: "Context") -> pb.UndoResponse:
        what = undone_by(request)
        if "version" in what:
            await asyncio.to_thread(self._state.catalog.manifest, what["version"])
        outcome = await self._send("undo", request.order, context, **what)
        return pb.UndoResponse(outcome=outcome)

    async def ReleaseSource(
        self, request: pb.ReleaseSourceRequest, context: "Context"
    ) -> pb.ReleaseSourceResponse:
        source = source_of(request.source)
        outcome = await self._send("release_source", request.order, context, source=source)
        return pb.ReleaseSourceResponse(outcome=outcome)

    async def _servable(self, version_id: str) -> str:
        version = version_name("version_id", version_id)
        await asyncio.to_thread(self._state.catalog.require_weights, version)
        return version

    async def _send(
        self, kind: CommandKind, order: pb.Order, context: "Context", **what: Any
    ) -> pb.Outcome:
        call = current_call()
        waiting_s = wait_s(order)
        command = command_of(kind, order, call.by, **what)
        left_s = context.time_remaining()
        if left_s is not None:
            waiting_s = min(waiting_s, max(0.0, left_s - MARGIN_S))
        log.info("%s %s by %s: %s", kind, command.id, command.by or "anybody", command.reason)
        with self._state.open_answer():
            done = await self._state.commander.send(command, waiting_s)
        return _outcome(command.id, done)


def _outcome(command_id: str, done: Commanded) -> pb.Outcome:
    outcome = pb.Outcome(
        state=pb.OUTCOME_STATE_ACCEPTED,
        command_id=command_id,
        topic=done.topic,
        partition=done.partition,
        offset=done.offset,
    )
    if done.event is not None:
        is_refused = done.event.kind == "refused"
        outcome.state = pb.OUTCOME_STATE_REFUSED if is_refused else pb.OUTCOME_STATE_DONE
        outcome.version_id = done.event.version
        outcome.event = done.event.kind
        outcome.reason = done.event.reason
    return outcome
