"""An answer's deltas between the engine and the stream that sends them.

What a slow reader has not fetched is joined into one, so that a mailbox never holds more than the
text and the numbers of its answer. Only the event loop touches it: the engine's thread hands over
by `call_soon_threadsafe`. Called by `serving/services/generation.py`.
"""

import asyncio

from serving.sequence import Delta, TokenLogprob


class Mailbox:
    """One answer's."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._num_tokens = 0
        self._last: Delta | None = None
        self._is_filled = asyncio.Event()

    def put(self, delta: Delta) -> None:
        self._texts.append(delta.text)
        self._logprobs += delta.logprobs
        self._num_tokens += delta.num_tokens
        if delta.end is not None or delta.error is not None:
            self._last = delta
        self._is_filled.set()

    async def take(self) -> Delta:
        """All that has come since the last time; waits for some.

        Raises:
            RiverrunError: the engine could not go on with this answer.
        """
        await self._is_filled.wait()
        self._is_filled.clear()
        last = self._last
        if last is not None and last.error is not None:
            raise last.error
        delta = Delta(
            "".join(self._texts),
            self._num_tokens,
            None if last is None else last.end,
            logprobs=tuple(self._logprobs),
            scores=None if last is None else last.scores,
            embedding=None if last is None else last.embedding,
        )
        self._texts.clear()
        self._logprobs.clear()
        self._num_tokens = 0
        return delta
