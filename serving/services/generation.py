"""`riverrun.v1.Generation`: one answer a call, from submit to the last message.

A cancelled call, a deadline and a client that went all end here as a cancelled coroutine, which
takes the sequence out of the engine. Errors are left to `serving/interceptor.py`.
"""

from typing import TYPE_CHECKING

from grpc.aio import ServicerContext

from riverrun.v1 import generation_pb2 as pb
from riverrun.v1 import generation_pb2_grpc as rpc
from serving.mailbox import Mailbox
from serving.request import sequence_of
from serving.sequence import End, FinishReason
from serving.services.version_proto import version_proto
from serving.state import State

REASONS = {
    FinishReason.END: pb.FINISH_REASON_END,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.STOP: pb.FINISH_REASON_STOP,
}

if TYPE_CHECKING:  # generic in the stubs alone
    Context = ServicerContext[pb.GenerateRequest, pb.GenerateResponse]


class Generation(rpc.GenerationServicer):
    """Streams answers from the state's engine."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def Generate(self, request: pb.GenerateRequest, context: "Context") -> None:
        engine, tokenizer = self._state.require()
        with self._state.open_answer():
            mailbox = Mailbox()
            sequence = await sequence_of(
                request, tokenizer, engine.cache.context_tokens, mailbox.put
            )
            engine.submit(sequence)
            end: End | None = None
            try:
                while end is None:
                    delta = await mailbox.take()
                    end = delta.end
                    if delta.text or delta.num_tokens:
                        chunk = pb.Chunk(text=delta.text, tokens=delta.num_tokens)
                        await context.write(pb.GenerateResponse(chunk=chunk))
                await context.write(pb.GenerateResponse(final=_final(end)))
            finally:
                if end is None:
                    engine.cancel(sequence)


def _final(end: End) -> pb.Final:
    return pb.Final(
        finish_reason=REASONS[end.reason],
        prompt_tokens=end.num_prompt_tokens,
        completion_tokens=end.num_tokens,
        version=version_proto(end.manifest),
    )
