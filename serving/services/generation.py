"""`riverrun.v1.Generation`: answers, scores, embeddings and counts, one call each.

A cancelled call, a deadline and a client that went all end here as a cancelled coroutine, which
takes the sequence out of the engine. Errors are left to `serving/interceptor.py`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from riverrun.v1 import generation_pb2_grpc as rpc
from serving.call import current_call
from serving.mailbox import Mailbox
from serving.replies import Reply
from serving.requests.generate import DEFAULT_MAX_TOKENS, GenerateRequest, sequence_of
from serving.requests.inputs import input_of
from serving.requests.texts import texts_to_embed, texts_to_score
from serving.run_sequence import deltas_of, run_batch
from serving.sequence import Delta, Sequence
from serving.services.answer_proto import final_proto, logprob_protos, score_proto
from serving.services.version_proto import version_proto
from serving.state import State

if TYPE_CHECKING:  # generic in the stubs alone
    from grpc.aio import ServicerContext

    Context = ServicerContext[Any, Any]


class Generation(rpc.GenerationServicer):
    """Answers from the state's engine."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def Generate(self, request: pb.GenerateRequest, context: "Context") -> None:
        await self._stream(request, context)

    async def Complete(
        self,
        request: pb.GenerateRequest,
        context: "Context",
    ) -> pb.CompleteResponse:
        return await self._whole(request)

    async def Chat(self, request: pb.ChatRequest, context: "Context") -> None:
        await self._stream(request, context)

    async def CompleteChat(
        self,
        request: pb.ChatRequest,
        context: "Context",
    ) -> pb.CompleteResponse:
        return await self._whole(request)

    async def Score(self, request: pb.ScoreRequest, context: "Context") -> pb.ScoreResponse:
        engine, tokenizer = self._state.require()
        with self._state.open_answer():
            texts = await texts_to_score(request, tokenizer, engine.cache.context_tokens)

            def make(i: int) -> Any:
                text = texts[i]
                return lambda sink: Sequence(
                    text.tokens, sink, task="score", first_target=text.first_target
                )

            deltas, manifest = await run_batch(engine, [make(i) for i in range(len(texts))])
            current_call().version = manifest.version
        scores = [
            score_proto(delta.scores or (), text.num_bytes, tokenizer, per_token=request.per_token)
            for delta, text in zip(deltas, texts, strict=True)
        ]
        return pb.ScoreResponse(
            scores=scores, version=version_proto(manifest), request_id=current_call().request_id
        )

    async def Embed(self, request: pb.EmbedRequest, context: "Context") -> pb.EmbedResponse:
        engine, tokenizer = self._state.require()
        with self._state.open_answer():
            texts = await texts_to_embed(request, tokenizer, engine.cache.context_tokens)

            def make(i: int) -> Any:
                return lambda sink: Sequence(texts[i].tokens, sink, task="embed")

            deltas, manifest = await run_batch(engine, [make(i) for i in range(len(texts))])
            current_call().version = manifest.version
        embeddings = [
            pb.Embedding(values=delta.embedding or (), tokens=len(text.tokens))
            for delta, text in zip(deltas, texts, strict=True)
        ]
        return pb.EmbedResponse(
            embeddings=embeddings,
            version=version_proto(manifest),
            request_id=current_call().request_id,
        )

    async def CountTokens(
        self,
        request: pb.CountTokensRequest,
        context: "Context",
    ) -> pb.CountTokensResponse:
        engine, tokenizer = self._state.require()
        tokens = await input_of(request).encode(tokenizer)
        room = max(0, engine.cache.context_tokens - len(tokens))
        return pb.CountTokensResponse(tokens=len(tokens), room_tokens=room)

    async def _stream(self, request: GenerateRequest, context: "Context") -> None:
        _, tokenizer = self._state.require()
        async with aclosing(answer(self._state, request)) as deltas:
            async for delta in deltas:
                if delta.text or delta.num_tokens:
                    await context.write(pb.GenerateResponse(chunk=_chunk(delta, tokenizer)))
                if delta.end is not None:
                    await context.write(pb.GenerateResponse(final=final_proto(delta.end)))

    async def _whole(self, request: GenerateRequest) -> pb.CompleteResponse:
        _, tokenizer = self._state.require()
        whole = pb.CompleteResponse()
        texts: list[str] = []
        async with aclosing(answer(self._state, request)) as deltas:
            async for delta in deltas:
                texts.append(delta.text)
                whole.logprobs.extend(logprob_protos(delta.logprobs, tokenizer))
                if delta.end is not None:
                    whole.final.CopyFrom(final_proto(delta.end))
        whole.text = "".join(texts)
        return whole


async def answer(
    state: State, request: GenerateRequest, default_max_tokens: int = DEFAULT_MAX_TOKENS
) -> AsyncGenerator[Delta, None]:
    """The deltas of one answer; a whole one is remembered for feedback. Any front may call it.

    default_max_tokens: for a request that does not say how many; fewer where there is no room.

    Raises:
        InvalidValue, Unsupported: the request.
        NotServing, Overloaded: it is not taken.
    """
    engine, tokenizer = state.require()
    texts: list[str] = []
    call = current_call()
    with state.open_answer():
        mailbox = Mailbox()
        asked = input_of(request)
        sequence = await sequence_of(
            request,
            asked,
            tokenizer,
            engine.cache.context_tokens,
            mailbox.put,
            default_max_tokens,
        )
        async with aclosing(deltas_of(engine, sequence, mailbox)) as deltas:
            async for delta in deltas:
                texts.append(delta.text)
                call.version = sequence.first_version
                call.num_prompt_tokens = sequence.num_prompt_tokens
                call.num_tokens += delta.num_tokens
                if delta.end is not None:
                    version = call.version = delta.end.manifest.version
                    call.num_tokens = delta.end.num_tokens
                    # Before the caller has it, so that his feedback cannot come first.
                    reply = Reply(call.request_id, asked.turns, "".join(texts), version)
                    state.replies.remember(reply)
                yield delta


def _chunk(delta: Delta, tokenizer: Tokenizer) -> pb.Chunk:
    return pb.Chunk(
        text=delta.text,
        tokens=delta.num_tokens,
        logprobs=logprob_protos(delta.logprobs, tokenizer),
    )
