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
        texts = [_to_score(i, one, tokenizer) for i, one in enumerate(request.inputs)]
        _check_sizes("inputs", texts, context_tokens)
        return texts

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
        texts = [TextTokens(tokenizer.encode(text), 1, 0) for text in request.texts]
        _check_sizes("texts", texts, context_tokens)
        return texts

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


def _check_sizes(field: str, texts: list[TextTokens], context_tokens: int) -> None:
    for i, text in enumerate(texts):
        if not 1 <= len(text.tokens) <= context_tokens:
            allowed = f"1 to {context_tokens} tokens (the context)"
            raise InvalidValue(f"{field}[{i}]", f"{len(text.tokens)} tokens", allowed)
    total = sum(len(text.tokens) for text in texts)
    if total > MAX_BATCH_TOKENS:
        raise InvalidValue(field, f"{total} tokens", f"at most {MAX_BATCH_TOKENS} together")
