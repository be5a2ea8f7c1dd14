"""Streams of a load, on one event loop: when each token came, and how it ended.

Closed loop: so many clients, each asks again as soon as it has its answer. Open loop: requests at a
rate, whatever the server does. Times are those that a client sees: of messages, which hold the
tokens of `serving.chunk_interval_s`, or one token each where that is 0. Called by the benches of
serving.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from riverrun.answers import Answer
from riverrun.client import AsyncClient
from riverrun.errors import RequestFailed


@dataclass(slots=True)
class Seen:
    """What clients saw, in seconds.

    gaps_s: between two messages of an answer. refusals_s: until the client was told to come again.
    failed: ended with another error, by code.
    """

    gaps_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    num_tokens: int = 0
    refusals_s: list[float] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        return len(self.refusals_s)

    def error(self, failure: RequestFailed, seconds: float) -> None:
        if failure.code == "RESOURCE_EXHAUSTED":
            self.refusals_s.append(seconds)
        else:
            self.failed[failure.code] = self.failed.get(failure.code, 0) + 1


@dataclass(frozen=True, slots=True)
class Ask:
    """What each request asks for."""

    max_tokens: int = 48
    logprobs: int | None = None


class Streams:
    """A load on one server. What comes is booked to `seen`, which may be replaced at any time."""

    def __init__(
        self,
        client: AsyncClient,
        ask: Ask,
        on_answer: Callable[[str, Answer], None] | None = None,
    ) -> None:
        self.seen = Seen()
        self.num_requests = 0
        self._client = client
        self._ask = ask
        self._on_answer = on_answer
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()

    def start(self, num_clients: int) -> None:
        """Closed loop, until `stop`."""
        for _ in range(num_clients):
            self._spawn(self._again())

    async def at_rate(self, requests_per_s: float, seconds: float) -> None:
        """Open loop: evenly, for so long."""
        began = time.perf_counter()
        for i in range(max(1, int(requests_per_s * seconds))):
            await asyncio.sleep(max(0.0, began + i / requests_per_s - time.perf_counter()))
            self._spawn(self._one())

    async def stop(self) -> None:
        """Ask no more, and wait for what is under way."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task: asyncio.Task[Any] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _again(self) -> None:
        while not self._stopping.is_set():
            if not await self._one():
                await asyncio.sleep(0.1)

    async def _one(self) -> bool:
        """One answer; whether it came to its end."""
        prompt = f"river {next(self._numbers) % 97}: "
        self.num_requests += 1
        began = last = time.perf_counter()
        is_first = True
        stream = self._client.stream(
            prompt, max_tokens=self._ask.max_tokens, logprobs=self._ask.logprobs
        )
        try:
            async for _ in stream:
                now = time.perf_counter()
                (self.seen.first_s if is_first else self.seen.gaps_s).append(now - last)
                is_first, last = False, now
        except RequestFailed as failure:
            self.seen.error(failure, time.perf_counter() - began)
            return False
        self.seen.total_s.append(time.perf_counter() - began)
        self.seen.num_tokens += stream.answer.completion_tokens
        if self._on_answer is not None:
            self._on_answer(prompt, stream.answer)
        return True


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed; NaN of none."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]
