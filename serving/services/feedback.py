"""`riverrun.v1.Feedback`: what users say of answers, into Kafka before the reply.

Called by gRPC. Knows nothing of what the learner makes of it.
"""

from typing import TYPE_CHECKING, Any

from riverrun.feedback import Feedback as Record
from riverrun.v1 import feedback_pb2 as pb
from riverrun.v1 import feedback_pb2_grpc as rpc
from serving.call import current_call
from serving.requests.feedback import correction_of, preference_of, rating_of
from serving.state import State

if TYPE_CHECKING:  # generic in the stubs alone
    from grpc.aio import ServicerContext

    Context = ServicerContext[Any, Any]


class Feedback(rpc.FeedbackServicer):
    """Writes records of the `feedback` topic."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def Rate(self, request: pb.RateRequest, context: "Context") -> pb.RateResponse:
        record = rating_of(request, self._state.replies, current_call().by)
        return pb.RateResponse(receipt=await self._write(record))

    async def Correct(self, request: pb.CorrectRequest, context: "Context") -> pb.CorrectResponse:
        record = correction_of(request, self._state.replies, current_call().by)
        return pb.CorrectResponse(receipt=await self._write(record))

    async def Prefer(self, request: pb.PreferRequest, context: "Context") -> pb.PreferResponse:
        record = preference_of(request, self._state.replies, current_call().by)
        return pb.PreferResponse(receipt=await self._write(record))

    async def _write(self, record: Record) -> pb.FeedbackReceipt:
        with self._state.open_answer():
            written = await self._state.feedback_log.write(record)
        return pb.FeedbackReceipt(
            id=record.id,
            topic=written.topic,
            partition=written.partition,
            offset=written.offset,
            repeated=written.repeated,
        )
