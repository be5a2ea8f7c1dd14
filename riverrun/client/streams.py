"""An answer as it comes.

A stream that fails before its first message is tried again as any call; one that has begun is not.
Called by both clients.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc

from riverrun.answers import Answer
from riverrun.client import replies
from riverrun.client.failures import request_failed
from riverrun.client.retry import Retry
from riverrun.errors import InvalidValue

Start = Callable[[float | None], Any]
"""Starts the call, with the seconds that it may take."""


class _Answering:
    """A call whose answer comes in pieces."""

    def __init__(self, start: Start, retry: Retry) -> None:
        self._start = start
        self._retry = retry
        self._call = start(retry.left_s)
        self._pieces: list[str] = []
        self._logprobs: list[Any] = []
        self._answer: Answer | None = None
        self._has_begun = False

    @property
    def answer(self) -> Answer:
        """The whole answer, once the iteration has come to its end."""
        if self._answer is None:
            raise InvalidValue("answer", None, "a stream that was read to its end")
        return self._answer

    def cancel(self) -> None:
        """Tell the server that nobody reads on (leaving the iteration does, too)."""
        self._call.cancel()

    def _take(self, response: Any) -> str:
        """The text of one message."""
        self._has_begun = True
        if response.HasField("final"):
            logprobs = replies.token_logprobs(self._logprobs)
            self._answer = replies.answer(response.final, "".join(self._pieces), logprobs)
            return ""
        text: str = response.chunk.text
        self._logprobs += response.chunk.logprobs
        if text:
            self._pieces.append(text)
        return text

    def _pause_s(self, error: Any) -> float:
        """How long to wait before the call starts again; raises what failed, if it does not."""
        failure = request_failed(error)
        if self._has_begun:
            raise failure from None
        return self._retry.pause_s(failure)


class AnswerStream(_Answering):
    """An answer as it comes: iterate over its text; `answer` is there afterwards."""

    def __iter__(self) -> Iterator[str]:
        try:
            while self._answer is None:
                try:
                    for response in self._call:
                        if text := self._take(response):
                            yield text
                    return
                except grpc.RpcError as error:
                    time.sleep(self._pause_s(error))
                self._call = self._start(self._retry.left_s)
        finally:
            self._call.cancel()


class AsyncAnswerStream(_Answering):
    """As `AnswerStream`, for `async for`."""

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while self._answer is None:
                try:
                    async for response in self._call:
                        if text := self._take(response):
                            yield text
                    return
                except grpc.RpcError as error:
                    await asyncio.sleep(self._pause_s(error))
                self._call = self._start(self._retry.left_s)
        finally:
            self._call.cancel()
