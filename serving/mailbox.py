"""An answer's deltas between the engine and the stream that sends them.

What a slow reader has not fetched is joined into one, up to `max_unread` tokens and alternatives;
beyond that the answer is given up: what has gathered goes, and its row is freed. An answer that we
gather ourselves has no such bound: what is unread there waits for us, not for its client. A switch
of weights parts what is before it from what is after. Only the event loop touches a mailbox: the
engine's thread hands over by `call_soon_threadsafe`. Called by `serving/services/generation.py` and
`serving/http/`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from riverrun.errors import SlowReader
from serving.sequence import Delta, Switch, TokenLogprob


def unread_for(timeout_s: float) -> SlowReader:
    """What a client is told whose message waited for so long to be read."""
    said = f"nothing was read for {timeout_s:g} s (serving.send_timeout_s)"
    return SlowReader(f"{said}: the answer ends here")


@dataclass(slots=True)
class _Piece:
    """What one version said, as far as it is not fetched."""

    switched: Switch | None = None
    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    num_tokens: int = 0


class Mailbox:
    """One answer's. max_unread: None: no bound. on_given_up: called once, when it is given up."""

    def __init__(
        self, max_unread: int | None = None, on_given_up: Callable[[], None] = lambda: None
    ) -> None:
        self.on_given_up = on_given_up
        self._max_unread = max_unread
        self._num_unread = 0
        self._pieces: deque[_Piece] = deque()
        self._last: Delta | None = None
        self._is_filled = asyncio.Event()

    def put(self, delta: Delta) -> None:
        if self._last is not None:
            return
        piece = self._pieces[-1] if self._pieces else None
        if piece is None or (delta.switched is not None and piece.num_tokens):
            self._pieces.append(piece := _Piece())
        if delta.switched is not None:
            # One that said nothing goes: its switch and this one are one.
            piece.switched = delta.switched
        piece.texts.append(delta.text)
        piece.logprobs += delta.logprobs
        piece.num_tokens += delta.num_tokens
        self._num_unread += delta.num_tokens + sum(len(one.top) for one in delta.logprobs)
        if delta.end is not None or delta.error is not None:
            self._last = delta
        elif self._max_unread is not None and self._num_unread > self._max_unread:
            said = f"more than {self._max_unread} tokens and alternatives are unread"
            self.give_up(SlowReader(f"{said} (serving.max_unread_tokens): the answer ends here"))
        self._is_filled.set()

    def give_up(self, error: SlowReader) -> None:
        """Nobody reads: what has gathered goes, and the reader gets this error."""
        if self._last is not None and self._last.error is not None:
            return
        self._pieces.clear()
        self._last = Delta(error=error)
        self._is_filled.set()
        self.on_given_up()

    async def take(self) -> Delta:
        """What one version said since the last time; waits for some.

        Text that came before an error is given first.

        Raises:
            RiverrunError: the engine could not go on with this answer, or nobody read it.
        """
        await self._is_filled.wait()
        last = self._last
        is_through = len(self._pieces) <= 1
        piece = self._pieces.popleft() if self._pieces else _Piece()
        text = "".join(piece.texts)
        has_error = last is not None and last.error is not None
        if has_error and is_through and not (text or piece.num_tokens or piece.switched):
            assert last is not None
            assert last.error is not None
            raise last.error
        if is_through and not has_error:
            self._is_filled.clear()
        self._num_unread -= piece.num_tokens + sum(len(one.top) for one in piece.logprobs)
        end = last if is_through and not has_error else None
        return Delta(
            text,
            piece.num_tokens,
            None if end is None else end.end,
            switched=piece.switched,
            logprobs=tuple(piece.logprobs),
            scores=None if end is None else end.scores,
            embedding=None if end is None else end.embedding,
        )
