"""The asynchronous client: one connection, on one event loop.

Knows nothing of protos. The synchronous one is its twin, method by method; a test holds it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc

from riverrun.answers import (
    Answer,
    Embeddings,
    FeedbackReceipt,
    Outcome,
    Scores,
    Status,
    StoredVersion,
    TokenCount,
    TraceEvent,
)
from riverrun.client import calls, replies, requests
from riverrun.client.calls import Call
from riverrun.client.connection import Security, Stubs, aio_channel
from riverrun.client.failures import failures, request_failed
from riverrun.client.options import AnswerOptions, Messages, OrderOptions, Said, VersionOptions
from riverrun.client.retry import DEFAULT_RETRIES, Retry
from riverrun.client.streams import AsyncAnswerStream

Reply = TypeVar("Reply")


class AsyncClient:
    """As `Client`, on one event loop."""

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float | None = None,
        retries: int = DEFAULT_RETRIES,
        **security: Any,
    ) -> None:
        """
        security: `tls`, `tls_ca`, `tls_cert`, `tls_key`, `tls_name`, `token`, as `Security` takes
            them.

        Raises:
            InvalidValue: files that cannot be read, or a token without TLS to another machine.
        """
        self.address = address
        self.timeout_s = timeout_s
        self.retries = retries
        self._security = Security(**security)
        self._channel = aio_channel(address, self._security)
        self._stubs = Stubs(self._channel)

    # Generation

    def stream(
        self, prompt: str | None = None, **options: Unpack[AnswerOptions]
    ) -> AsyncAnswerStream:
        """The answer as it comes. Either `prompt` or `messages`; greedy unless told otherwise.

        Raises:
            InvalidValue: a value that no request can carry.
            RequestFailed: (while iterating) what the server says.
        """
        request = requests.answer_request(prompt, options)
        method = calls.streaming(request)(self._stubs)
        metadata = self._security.metadata(options.get("request_id"))
        retry = self._retry(options.get("timeout_s"))
        return AsyncAnswerStream(
            lambda left_s: method(request, timeout=left_s, metadata=metadata), retry
        )

    async def generate(self, prompt: str | None = None, **options: Unpack[AnswerOptions]) -> Answer:
        """The whole answer at once; options as for `stream`."""
        call = calls.generate(prompt, options)
        return await self._run(call, options.get("timeout_s"), options.get("request_id"))

    async def chat(self, messages: Messages, /, **options: Unpack[AnswerOptions]) -> Answer:
        """The reply to messages, `{"role", "content"}` each, by the model's chat template."""
        options["messages"] = messages
        return await self.generate(**options)

    async def score(
        self,
        texts: Sequence[str],
        *,
        contexts: Sequence[str] | None = None,
        per_token: bool = False,
        timeout_s: float | None = None,
        **chosen: Unpack[VersionOptions],
    ) -> Scores:
        """How likely each text is, after its context if there are any; all by one version."""
        call = calls.score(texts, contexts, chosen, per_token=per_token)
        return await self._run(call, timeout_s)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        timeout_s: float | None = None,
        **chosen: Unpack[VersionOptions],
    ) -> Embeddings:
        """A vector of length 1 for each text; all by one version."""
        return await self._run(calls.embed(texts, chosen), timeout_s)

    async def count_tokens(
        self, prompt: str | None = None, *, messages: Messages | None = None
    ) -> TokenCount:
        return await self._run(calls.count_tokens(prompt, messages))

    # Model

    async def status(self) -> Status:
        """The server now."""
        return await self._run(calls.status())

    async def watch(self, interval_s: float = 0.5) -> AsyncIterator[Status]:
        """The status now and whenever it changes, until the server ends or nobody iterates."""
        request = requests.watch_request(interval_s)
        call = self._stubs.model.WatchStatus(request, metadata=self._security.metadata(None))
        try:
            with failures():
                async for response in call:
                    yield replies.status(response.status)
        finally:
            call.cancel()

    async def versions(self, page_size: int = 100) -> AsyncIterator[StoredVersion]:
        """All versions of the server's store, newest first, a page at a time."""
        token = ""
        while True:
            page, token = await self._run(calls.versions(page_size, token))
            for one in page:
                yield one
            if not token:
                return

    async def version(self, version: str = "") -> StoredVersion:
        """One version; by default the one that is live."""
        return await self._run(calls.version(version))

    async def trace(
        self, version: str = "", *, max_versions: int = 1, documents: bool = False
    ) -> AsyncIterator[TraceEvent]:
        """What a version (by default the live one) and its parents learned.

        Each `Version` is followed by its spans, and each span, with `documents`, by its texts.
        """
        request = requests.trace_request(version, max_versions, documents=documents)
        metadata = self._security.metadata(None)
        call = self._stubs.model.TraceVersion(request, timeout=self.timeout_s, metadata=metadata)
        try:
            with failures():
                async for response in call:
                    yield replies.trace_event(response)
        finally:
            call.cancel()

    # Feedback

    async def rate(
        self,
        said: Said | None,
        rating: float,
        *,
        feedback_id: str | None = None,
        prompt: str | None = None,
        messages: Messages | None = None,
        answer: str | None = None,
    ) -> FeedbackReceipt:
        """How good an answer was, -1 to 1; back when Kafka has it.

        said: the Answer or its request id. For an answer that the server does not remember: what
        was asked and what was answered.
        """
        subject = {"prompt": prompt, "messages": messages, "answer": answer}
        return await self._run(calls.rate(said, rating, feedback_id, **subject))

    async def correct(
        self,
        said: Said | None,
        correction: str,
        *,
        feedback_id: str | None = None,
        prompt: str | None = None,
        messages: Messages | None = None,
        answer: str | None = None,
    ) -> FeedbackReceipt:
        """What should have been said; otherwise as `rate`."""
        subject = {"prompt": prompt, "messages": messages, "answer": answer}
        return await self._run(calls.correct(said, correction, feedback_id, **subject))

    async def prefer(
        self,
        said: Said | None = None,
        *,
        chosen: str | None = None,
        rejected: str | None = None,
        feedback_id: str | None = None,
        prompt: str | None = None,
        messages: Messages | None = None,
    ) -> FeedbackReceipt:
        """Which of two answers is better; the one that is left out is what `said` names."""
        subject = {"prompt": prompt, "messages": messages}
        call = calls.prefer(said, chosen, rejected, feedback_id, **subject)
        return await self._run(call)

    # Admin

    async def promote(self, version: str, **order: Unpack[OrderOptions]) -> Outcome:
        """Serve this version."""
        return await self._command(lambda made: calls.promote(made, version), order)

    async def hold(self, **order: Unpack[OrderOptions]) -> Outcome:
        """Promote nothing until `release`."""
        return await self._command(calls.hold, order)

    async def release(self, **order: Unpack[OrderOptions]) -> Outcome:
        """Promote again."""
        return await self._command(calls.release, order)

    async def roll_back(self, version: str | None = None, **order: Unpack[OrderOptions]) -> Outcome:
        """Serve an earlier version (by default the one before), and hold."""
        return await self._command(lambda made: calls.roll_back(made, version), order)

    async def pause_learning(self, **order: Unpack[OrderOptions]) -> Outcome:
        """Learn nothing until `resume_learning`; text waits in Kafka."""
        return await self._command(calls.pause_learning, order)

    async def resume_learning(self, **order: Unpack[OrderOptions]) -> Outcome:
        """Learn again."""
        return await self._command(calls.resume_learning, order)

    async def undo(
        self,
        *,
        ranges: Iterable[tuple[int, int, int]] | None = None,
        source: str | None = None,
        version: str | None = None,
        **order: Unpack[OrderOptions],
    ) -> Outcome:
        """Take text out of the weights: raw ranges (partition, first, last), a source, or what a
        version learned.
        """
        return await self._command(lambda made: calls.undo(made, ranges, source, version), order)

    async def release_source(self, source: str, **order: Unpack[OrderOptions]) -> Outcome:
        """Learn what the quarantine keeps of a source, and trust it again."""
        return await self._command(lambda made: calls.release_source(made, source), order)

    # Calls

    async def _command(
        self, call: Callable[[requests.Order], Call[Outcome]], order: OrderOptions
    ) -> Outcome:
        timeout_s = requests.order_timeout_s(order)
        return await self._run(call(requests.order(order)), timeout_s)

    async def _run(
        self, call: Call[Reply], timeout_s: float | None = None, request_id: str | None = None
    ) -> Reply:
        """One reply, in as many tries as it may take."""
        method = call.method(self._stubs)
        metadata = self._security.metadata(request_id)
        retry = self._retry(timeout_s)
        while True:
            try:
                reply = await method(call.request, timeout=retry.left_s, metadata=metadata)
            except grpc.RpcError as error:
                pause_s = retry.pause_s(request_failed(error))
            else:
                return call.read(reply)
            await asyncio.sleep(pause_s)

    def _retry(self, timeout_s: float | None) -> Retry:
        return Retry(self.retries, self.timeout_s if timeout_s is None else timeout_s)

    async def close(self) -> None:
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
