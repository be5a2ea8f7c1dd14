"""The text of one answer, from its tokens: whole characters, and nothing after a stop string.

Tokens gather here until their sequence's next message is due, so that a message costs one
hand-over and not each token. Knows nothing of models or sockets. Called by `serving/sequence.py`.
"""

from collections.abc import Sequence

from riverrun.text_stream import TextStream
from riverrun.tokenizer import Tokenizer
from serving.stop_strings import StopStrings


class AnswerText:
    """Tokens in, showable text out."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._stream = TextStream(tokenizer)
        self._stop_strings = StopStrings(stops)
        self._ready: list[str] = []
        self._num_tokens = 0

    def push(self, token: int) -> bool:
        """Take the next token; True when a stop string ends the answer with it."""
        self._num_tokens += 1
        text, stopped = self._stop_strings.push(self._stream.push(token))
        if text:
            self._ready.append(text)
        return stopped

    def finish(self) -> None:
        """No token follows, and no stop string was met: what was held back may be shown."""
        text, stopped = self._stop_strings.push(self._stream.finish())
        self._ready.append(text)
        if not stopped:
            self._ready.append(self._stop_strings.finish())

    @property
    def has_text(self) -> bool:
        """Whether there is anything to show since the last time."""
        return bool(self._ready)

    def take(self) -> tuple[str, int]:
        """The text that has gathered since the last time, and the number of tokens."""
        text, num_tokens = "".join(self._ready), self._num_tokens
        self._ready.clear()
        self._num_tokens = 0
        return text, num_tokens
