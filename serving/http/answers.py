"""One answer over HTTP: whole, or as server-sent events while it comes.

Called by `serving/http/server.py`, which turns what is raised here into replies. A client that goes
cancels the handler, and that takes the sequence out of the engine.
"""

import asyncio
import time
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from riverrun.errors import InvalidValue, SlowReader
from serving.call import current_call
from serving.http.fields import parsed
from serving.http.requests import Asked, chat_of, completion_of
from serving.http.sending import sending
from serving.http.shapes import ChatShape, CompletionShape, Shape, usage
from serving.mailbox import Mailbox
from serving.sequence import End, TokenLogprob
from serving.services.generation import answer
from serving.state import State

STREAM = web.RequestKey("stream", web.StreamResponse)
"""Set once the reply has begun: from then on errors go into the stream."""

BODY_TIMEOUT_S = 30.0
"""For a body that comes byte by byte."""

VERSION_HEADER = "x-riverrun-version"
DEFERRED_HEADER = "x-riverrun-deferred"
"""Whether the version left the answer to its origin."""
encode = msgspec.json.Encoder().encode


class Answers:
    """The two routes that make text."""

    def __init__(self, state: State, model: str) -> None:
        """model: the name that callers give."""
        self._state = state
        self._model = model

    async def completions(self, request: web.Request) -> web.StreamResponse:
        asked = completion_of(await _body(request), self._model)
        _, tokenizer = self._state.require()
        return await self._answer(request, asked, CompletionShape(tokenizer))

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = chat_of(await _body(request), self._model)
        _, tokenizer = self._state.require()
        return await self._answer(request, asked, ChatShape(tokenizer))

    async def _answer(self, request: web.Request, asked: Asked, shape: Shape) -> web.StreamResponse:
        engine, _ = self._state.require()
        most = asked.default_max_tokens or engine.cache.context_tokens
        if asked.wait_s is not None:
            current_call().deadline = time.monotonic() + asked.wait_s
        settings = self._state.settings.serving
        mailbox = Mailbox(settings.max_unread_tokens if asked.streams else None)
        async with aclosing(answer(self._state, asked.request, most, mailbox=mailbox)) as deltas:
            if not asked.streams:
                return await _whole(asked, shape, deltas)
            try:
                return await _stream(request, asked, shape, deltas, settings.send_timeout_s)
            except SlowReader as error:
                mailbox.give_up(error)
                raise


async def _whole(asked: Asked, shape: Shape, deltas: Any) -> web.Response:
    texts: list[str] = []
    logprobs: list[TokenLogprob] | None = [] if asked.request.HasField("logprobs") else None
    end: End | None = None
    async for delta in deltas:
        texts.append(delta.text)
        if logprobs is not None:
            logprobs += delta.logprobs
        end = delta.end
    assert end is not None, "an answer without an error has an end"
    body = {
        **_envelope(asked, shape, shape.whole_object),
        "choices": [shape.whole("".join(texts), logprobs, end.reason)],
        "usage": usage(end),
    }
    return web.Response(
        body=encode(body), content_type="application/json", headers=_version_header()
    )


async def _stream(
    request: web.Request, asked: Asked, shape: Shape, deltas: Any, send_timeout_s: float
) -> web.StreamResponse:
    """
    send_timeout_s: for each event to be read.

    Raises:
        SlowReader: one was not.
    """
    has_logprobs = asked.request.HasField("logprobs")
    response = web.StreamResponse()
    envelope: dict[str, Any] = {}

    async def send(choices: list[dict[str, Any]], used: dict[str, int] | None = None) -> None:
        body = {**envelope, "choices": choices}
        if asked.includes_usage:
            body["usage"] = used
        async with sending(request, send_timeout_s):
            await response.write(event(encode(body)))

    async for delta in deltas:
        if not envelope:
            # Only now: the version is known, and what went wrong before had a status of its own.
            envelope = _envelope(asked, shape, shape.piece_object)
            response.content_type = "text/event-stream"
            response.headers.update(
                {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **_version_header()}
            )
            response.headers["x-request-id"] = current_call().request_id
            response.headers["Server"] = "riverrun"
            await response.prepare(request)
            request[STREAM] = response
            if shape.opening is not None:
                await send([shape.opening])
        if delta.switched is not None:
            # An answer that follows: what comes from now on is the newer version's.
            envelope["system_fingerprint"] = delta.switched.manifest.version
        reason = None if delta.end is None else delta.end.reason
        logprobs = delta.logprobs if has_logprobs else None
        if delta.text or logprobs:
            await send([shape.piece(delta.text, logprobs, None)])
        if delta.end is not None:
            await send([shape.piece("", None, reason)])
            if asked.includes_usage:
                await send([], usage(delta.end))
    async with sending(request, send_timeout_s):
        await response.write(event(b"[DONE]"))
        await response.write_eof()
    return response


def event(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


def _envelope(asked: Asked, shape: Shape, kind: str) -> dict[str, Any]:
    call = current_call()
    return {
        "id": f"{shape.prefix}{call.request_id}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
        "system_fingerprint": call.version,
    }


def _version_header() -> dict[str, str]:
    call = current_call()
    if call.version is None:
        return {}
    return {VERSION_HEADER: call.version, DEFERRED_HEADER: str(call.deferred).lower()}


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        # Also keeps web pages of others out: a browser asks before it sends this type.
        allowed = "Content-Type: application/json"
        raise InvalidValue("content-type", request.content_type, allowed)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return parsed(await request.read())
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
