"""Text from tokens that arrive one by one.

A token is bytes, and a character may need several tokens: `push` gives only characters that
are complete. All that it gave, with `finish`, is what `Tokenizer.decode` makes of the whole.
Knows nothing of stop strings. Called by serving's engine, once a row.
"""

import codecs

from riverrun.tokenizer import Tokenizer

MAX_WAITING_TOKENS = 8
"""Without byte-level tokens: no character is longer, so what waits on is not going to end."""


class TextStream:
    """The text of one sequence; each `push` costs the same, however long the sequence is."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._stream = _Bytes(tokenizer) if tokenizer.is_byte_level else _Window(tokenizer)

    def push(self, token_id: int) -> str:
        """The characters that this token completes; often none. Special tokens have no text."""
        return self._stream.push(token_id)

    def finish(self) -> str:
        """What still waits; a character that stays incomplete is U+FFFD."""
        return self._stream.finish()


class _Bytes:
    """For byte-level tokens, which stand for the same bytes wherever they are."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        if token_id in self._tokenizer.special_ids:
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


class _Window:
    """For all others, whose text depends on the token before: decodes the last few again.

    `_shown` tokens are there for context only; their text was given before.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._shown = 0

    def push(self, token_id: int) -> str:
        if token_id in self._tokenizer.special_ids:
            return ""
        self._ids.append(token_id)
        text = self._waiting_text()
        if text.endswith("\ufffd") and len(self._ids) - self._shown < MAX_WAITING_TOKENS:
            return ""
        del self._ids[: self._shown]
        self._shown = len(self._ids)
        return text

    def finish(self) -> str:
        text = self._waiting_text()
        self._ids.clear()
        self._shown = 0
        return text

    def _waiting_text(self) -> str:
        before = self._tokenizer.decode(self._ids[: self._shown])
        return self._tokenizer.decode(self._ids)[len(before) :]
