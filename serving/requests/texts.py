"""Batches of texts to score or to embed, as tokens.

Called by `serving/services/generation.py`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from riverrun.errors import InvalidValue
from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from serving.requests.inputs import LONG_BYTES

MAX_TEXTS = 64
MAX_BATCH_TOKENS = 65_536


@dataclass(frozen=True, slots=True)
class TextTokens:
    """A text with what stands before it. Scored from the token `first_target` on."""

    tokens: list[int]
    first_target: int
    num_bytes: int
    """Of the scored tokens' text."""


async def texts_to_score(
    request: pb.ScoreRequest, tokenizer: Tokenizer, context_tokens: int
) -> list[TextTokens]:
    """
    Raises:
        InvalidValue: too many texts, an empty one, one that does not fit or has nothing to score.
    """
    _check_count("inputs", len(request.inputs))
    for i, given in enumerate(request.inputs):
        if not given.text:
            raise InvalidValue(f"inputs[{i}].text", "", "at least one character")

    def encode() -> list[TextTokens]:
        room = _Room("inputs", tokenizer, context_tokens)
        for i, one in enumerate(request.inputs):
            room.check_bytes(i, one.context, one.text)
            room.take(i, _to_score(i, one, tokenizer))
        return room.taken

    return await _off_the_loop_if_long(request.ByteSize(), encode)


async def texts_to_embed(
    request: pb.EmbedRequest, tokenizer: Tokenizer, context_tokens: int
) -> list[TextTokens]:
    """
    Raises:
        InvalidValue: too many texts, an empty one, one that does not fit.
    """
    _check_count("texts", len(request.texts))
    for i, text in enumerate(request.texts):
        if not text:
            raise InvalidValue(f"texts[{i}]", "", "at least one character")

    def encode() -> list[TextTokens]:
        room = _Room("texts", tokenizer, context_tokens)
        for i, text in enumerate(request.texts):
            room.check_bytes(i, text)
            room.take(i, TextTokens(tokenizer.encode(text), 1, 0))
        return room.taken

    return await _off_the_loop_if_long(request.ByteSize(), encode)


async def _off_the_loop_if_long(
    num_bytes: int, encode: Callable[[], list[TextTokens]]
) -> list[TextTokens]:
    return encode() if num_bytes < LONG_BYTES else await asyncio.to_thread(encode)


def _to_score(i: int, given: pb.ScoreInput, tokenizer: Tokenizer) -> TextTokens:
    context = tokenizer.encode(given.context) if given.context else []
    tokens = tokenizer.encode(given.text)
    num_bytes = len(given.text.encode())
    if context:
        return TextTokens(context + tokens, len(context), num_bytes)
    if len(tokens) < 2:
        allowed = "at least two tokens, or a context: nothing stands before the first token"
        raise InvalidValue(f"inputs[{i}].text", given.text, allowed)
    return TextTokens(tokens, 1, num_bytes - _num_bytes_of(tokens[0], tokenizer))


def _num_bytes_of(token: int, tokenizer: Tokenizer) -> int:
    if tokenizer.is_byte_level:
        return len(tokenizer.token_bytes(token))
    return len(tokenizer.decode([token]).encode())


def _check_count(field: str, count: int) -> None:
    if not 1 <= count <= MAX_TEXTS:
        raise InvalidValue(field, f"{count} texts", f"1 to {MAX_TEXTS} texts")


class _Room:
    """What a batch may hold, checked text by text: what does not fit is not all encoded first."""

    def __init__(self, field: str, tokenizer: Tokenizer, context_tokens: int) -> None:
        self.taken: list[TextTokens] = []
        self._num_tokens = 0
        self._field = field
        self._tokenizer = tokenizer
        self._context_tokens = context_tokens

    def check_bytes(self, i: int, *parts: str) -> None:
        """Refuse the text `i` if so many bytes cannot fit, whatever their tokens are."""
        if sum(len(part) for part in parts) >= LONG_BYTES:
            fewest = sum(self._tokenizer.fewest_tokens(part) for part in parts)
            if fewest > self._context_tokens:
                raise self._too_long(i, f"at least {fewest}")

    def take(self, i: int, text: TextTokens) -> None:
        if not 1 <= len(text.tokens) <= self._context_tokens:
            raise self._too_long(i, f"{len(text.tokens)}")
        self.taken.append(text)
        self._num_tokens += len(text.tokens)
        if self._num_tokens > MAX_BATCH_TOKENS:
            shown = f"{self._num_tokens} tokens in the first {i + 1}"
            raise InvalidValue(self._field, shown, f"at most {MAX_BATCH_TOKENS} together")

    def _too_long(self, i: int, shown: str) -> InvalidValue:
        allowed = f"1 to {self._context_tokens} tokens (the context)"
        return InvalidValue(f"{self._field}[{i}]", f"{shown} tokens", allowed)
