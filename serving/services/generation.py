"""`riverrun.v1.Generation`: answers, scores, embeddings and counts, one call each.

A cancelled call, a deadline and a client that went all end here as a cancelled coroutine, which
takes the sequence out of the engine. Errors are left to `serving/interceptor.py`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from riverrun.store import Manifest
from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from riverrun.v1 import generation_pb2_grpc as rpc
from serving.call import Call, current_call
from serving.deferral import weights_for
from serving.mailbox import Mailbox, unread_for
from serving.replies import Reply
from serving.requests.generate import DEFAULT_MAX_TOKENS, GenerateRequest, sequence_of
from serving.requests.inputs import input_of
from serving.requests.texts import texts_to_embed, texts_to_score
from serving.requests.version_choice import wanted_of
from serving.run_sequence import deltas_of, run_batch
from serving.score_texts import score_texts
from serving.sequence import Delta, Sequence, Sink
from serving.services.answer_proto import (
    final_proto,
    logprob_protos,
    score_proto,
    switched_proto,
)
from serving.services.version_proto import version_proto
from serving.state import State

if TYPE_CHECKING:  # generic in the stubs alone
    from grpc.aio import ServicerContext

    Context = ServicerContext[Any, Any]

DEADLINE_SHARE = 0.1
MAX_DEADLINE_MARGIN_S = 0.25
"""A wait for a version ends so much before the client's deadline, that the error, with what is
served now, still reaches him."""


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
        return await self._whole(request, context)

    async def Chat(self, request: pb.ChatRequest, context: "Context") -> None:
        await self._stream(request, context)

    async def CompleteChat(
        self,
        request: pb.ChatRequest,
        context: "Context",
    ) -> pb.CompleteResponse:
        return await self._whole(request, context)

    async def Score(self, request: pb.ScoreRequest, context: "Context") -> pb.ScoreResponse:
        engine, tokenizer = self._state.require()
        call = _calls(context)
        with self._state.open_answer():
            texts = await texts_to_score(request, tokenizer, engine.cache.context_tokens)
            wanted = wanted_of(request.version, may_follow=False)
            assert self._state.pinning is not None
            pin = await self._state.pinning.pin(wanted, call.deadline)
            scored, manifest = await score_texts(
                engine, texts, pin, call.client, never_defers=wanted.never_defers
            )
            call.version = manifest.version
        scores = [
            score_proto(
                one.scores,
                text.num_bytes,
                tokenizer,
                per_token=request.per_token,
                is_deferred=one.is_deferred,
            )
            for one, text in zip(scored, texts, strict=True)
        ]
        return pb.ScoreResponse(
            scores=scores, version=version_proto(manifest), request_id=current_call().request_id
        )

    async def Embed(self, request: pb.EmbedRequest, context: "Context") -> pb.EmbedResponse:
        engine, tokenizer = self._state.require()
        call = _calls(context)
        with self._state.open_answer():
            texts = await texts_to_embed(request, tokenizer, engine.cache.context_tokens)

            def make(i: int) -> Any:
                return lambda sink: Sequence(
                    texts[i].tokens, sink, task="embed", client=call.client
                )

            deltas, manifest = await self._batch(request, [make(i) for i in range(len(texts))])
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

    async def _batch(
        self,
        request: pb.EmbedRequest,
        makers: list[Callable[[Sink], Sequence]],
    ) -> tuple[list[Delta], Manifest]:
        """Run on the version that the request wants."""
        engine, _ = self._state.require()
        assert self._state.pinning is not None
        wanted = wanted_of(request.version, may_follow=False)
        pin = await self._state.pinning.pin(wanted, current_call().deadline)
        try:
            return await run_batch(engine, makers, pin)
        finally:
            if pin is not None:
                pin.release()

    async def _stream(self, request: GenerateRequest, context: "Context") -> None:
        _, tokenizer = self._state.require()
        _calls(context)
        mailbox = Mailbox(self._state.settings.serving.max_unread_tokens)
        async with aclosing(answer(self._state, request, mailbox=mailbox)) as deltas:
            async for delta in deltas:
                for response in _responses(delta, tokenizer):
                    await self._send(context, response, mailbox)

    async def _send(
        self, context: "Context", response: pb.GenerateResponse, mailbox: Mailbox
    ) -> None:
        """Write it; when the client makes no room for it in time, the answer is given up.

        The write itself goes on: while it is under way gRPC takes no status. So the client that
        reads at last is told, and the one that goes ends the call.
        """
        timeout_s = self._state.settings.serving.send_timeout_s

        def give_up() -> None:
            mailbox.give_up(unread_for(timeout_s))

        timer = asyncio.get_running_loop().call_later(timeout_s, give_up)
        try:
            await context.write(response)
        finally:
            timer.cancel()

    async def _whole(self, request: GenerateRequest, context: "Context") -> pb.CompleteResponse:
        _, tokenizer = self._state.require()
        _calls(context)
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
    state: State,
    request: GenerateRequest,
    default_max_tokens: int = DEFAULT_MAX_TOKENS,
    *,
    mailbox: Mailbox | None = None,
) -> AsyncGenerator[Delta, None]:
    """The deltas of one answer; a whole one is remembered for feedback. Any front may call it.

    default_max_tokens: for a request that does not say how many; fewer where there is no room.
    mailbox: where they gather, for a caller who gives up on slow readers; else without a bound.

    Raises:
        InvalidValue: the request.
        NotServing, Overloaded: it is not taken.
        UnknownVersion, VersionGone, VersionNotYet: there are no such weights, or not in time.
        PinExpired, SlowReader: it is ended early.
    """
    engine, tokenizer = state.require()
    assert state.pinning is not None
    texts: list[str] = []
    call = current_call()
    with state.open_answer():
        wanted = wanted_of(request.version, may_follow=True)
        mailbox = mailbox or Mailbox()
        asked = input_of(request)
        sequence = await sequence_of(
            request,
            asked,
            tokenizer,
            engine.cache.context_tokens,
            mailbox.put,
            default_max_tokens,
        )
        sequence.follows = wanted.follows
        sequence.client = call.client
        sequence.pin = await state.pinning.pin(wanted, call.deadline)
        if not wanted.never_defers:
            sequence.pin = await weights_for(
                engine, tokenizer, sequence.tokens, sequence.pin, call.client
            )
        call.deferred = sequence.is_deferred
        slow = state.tally.metrics.ended_early.labels("slow_reader")
        async with aclosing(deltas_of(engine, sequence, mailbox, slow.inc)) as deltas:
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


def _calls(context: "Context") -> Call:
    """The current call, with what gRPC knows of it."""
    call = current_call()
    call.peer = context.peer()
    left_s = context.time_remaining()
    if left_s is not None:
        margin_s = min(MAX_DEADLINE_MARGIN_S, DEADLINE_SHARE * left_s)
        call.deadline = time.monotonic() + left_s - margin_s
    return call


def _responses(delta: Delta, tokenizer: Tokenizer) -> Iterator[pb.GenerateResponse]:
    if delta.switched is not None:
        yield pb.GenerateResponse(switched=switched_proto(delta.switched))
    if delta.text or delta.num_tokens:
        yield pb.GenerateResponse(chunk=_chunk(delta, tokenizer))
    if delta.end is not None:
        yield pb.GenerateResponse(final=final_proto(delta.end))


def _chunk(delta: Delta, tokenizer: Tokenizer) -> pb.Chunk:
    return pb.Chunk(
        text=delta.text,
        tokens=delta.num_tokens,
        logprobs=logprob_protos(delta.logprobs, tokenizer),
    )
