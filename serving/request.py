"""A GenerateRequest, checked field by field, as the sequence that the engine runs.

Everything that a caller can get wrong is found here, before the request costs a row, and is named
by its field in the proto. Called by `serving/services/generation.py`.
"""

import asyncio
import math

from riverrun.errors import InvalidValue
from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from serving.answer_text import AnswerText
from serving.sampling import Sampling
from serving.sequence import Sequence, Sink

DEFAULT_MAX_TOKENS = 128
MAX_TEMPERATURE = 100.0
MAX_STOPS = 16
MAX_STOP_BYTES = 256
LONG_PROMPT_BYTES = 2048
"""From here on a prompt is encoded on another thread: a megabyte takes 0.5 s (2 kB: 0.7 ms), in
which the event loop would send nobody's tokens."""


async def sequence_of(
    request: pb.GenerateRequest, tokenizer: Tokenizer, context_tokens: int, sink: Sink
) -> Sequence:
    """
    Raises:
        InvalidValue: the field, its value and what it takes.
    """
    sampling = _sampling(request)
    stops = _stops(request)
    if request.ByteSize() < LONG_PROMPT_BYTES:
        tokens = _tokens(request, tokenizer)
    else:
        tokens = await asyncio.to_thread(_tokens, request, tokenizer)
    return Sequence(
        tokens=tokens,
        max_tokens=_max_tokens(request, len(tokens), context_tokens),
        sampling=sampling,
        text=AnswerText(tokenizer, stops),
        sink=sink,
    )


def _tokens(request: pb.GenerateRequest, tokenizer: Tokenizer) -> list[int]:
    kind = request.WhichOneof("input")
    if kind is None:
        raise InvalidValue("input", None, "a prompt or a conversation")
    if kind == "prompt":
        if not request.prompt:
            raise InvalidValue("prompt", "", "at least one character")
        return tokenizer.encode(request.prompt)
    if not tokenizer.has_chat_template:
        raise InvalidValue("input", "conversation", "a prompt: this model has no chat template")
    messages = [{"role": m.role, "content": m.content} for m in request.conversation.messages]
    try:
        return tokenizer.chat(messages)
    except InvalidValue as error:
        raise InvalidValue(f"conversation.{error.field}", error.value, error.allowed) from error


def _max_tokens(request: pb.GenerateRequest, num_prompt_tokens: int, context_tokens: int) -> int:
    room = context_tokens - num_prompt_tokens
    field = request.WhichOneof("input") or "input"
    if room < 1:
        raise InvalidValue(
            field,
            f"{num_prompt_tokens} prompt tokens",
            f"at most {context_tokens - 1} prompt tokens (context_tokens is {context_tokens})",
        )
    if request.max_tokens > room:
        raise InvalidValue(
            "max_tokens",
            request.max_tokens,
            f"at most {room} beside {num_prompt_tokens} prompt tokens "
            f"(context_tokens is {context_tokens})",
        )
    return request.max_tokens or min(DEFAULT_MAX_TOKENS, room)


def _sampling(request: pb.GenerateRequest) -> Sampling:
    given = request.sampling
    temperature = given.temperature
    if not (math.isfinite(temperature) and 0 <= temperature <= MAX_TEMPERATURE):
        raise InvalidValue(
            "sampling.temperature", temperature, f"0 (greedy) to {MAX_TEMPERATURE:g}"
        )
    top_p = given.top_p if given.HasField("top_p") else None
    if top_p is not None and not 0 < top_p <= 1:
        raise InvalidValue("sampling.top_p", top_p, "above 0, up to 1")
    return Sampling(
        temperature=temperature,
        top_k=given.top_k or None,
        top_p=None if top_p == 1 else top_p,
        seed=given.seed if given.HasField("seed") else None,
    )


def _stops(request: pb.GenerateRequest) -> list[str]:
    if len(request.stop) > MAX_STOPS:
        raise InvalidValue("stop", f"{len(request.stop)} strings", f"at most {MAX_STOPS} strings")
    for i, stop in enumerate(request.stop):
        if not 1 <= len(stop.encode()) <= MAX_STOP_BYTES:
            raise InvalidValue(f"stop[{i}]", stop, f"1 to {MAX_STOP_BYTES} bytes")
    return list(request.stop)
