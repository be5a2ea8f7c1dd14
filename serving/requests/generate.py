"""A GenerateRequest or a ChatRequest as the sequence that the engine runs.

Called by `serving/services/generation.py`.
"""

import math

from riverrun.errors import InvalidValue
from riverrun.tokenizer import Tokenizer
from riverrun.v1 import generation_pb2 as pb
from serving.answer_text import AnswerText
from serving.requests.inputs import Input
from serving.sampling import Sampling
from serving.sequence import MAX_LOGPROBS, Sequence, Sink

GenerateRequest = pb.GenerateRequest | pb.ChatRequest

DEFAULT_MAX_TOKENS = 128
MAX_TEMPERATURE = 100.0
MAX_PENALTY = 10.0
MAX_STOPS = 16
MAX_STOP_BYTES = 256


async def sequence_of(
    request: GenerateRequest,
    asked: Input,
    tokenizer: Tokenizer,
    context_tokens: int,
    sink: Sink,
    default_max_tokens: int = DEFAULT_MAX_TOKENS,
) -> Sequence:
    """
    asked: the request's input, from `input_of`.
    default_max_tokens: for a request that does not say how many; fewer where there is no room.

    Raises:
        InvalidValue: the field, its value and what it takes.
    """
    sampling = _sampling(request.sampling)
    stops = _stops(request)
    num_logprobs = _num_logprobs(request)
    tokens = await asked.encode(tokenizer, context_tokens)
    return Sequence(
        tokens=tokens,
        sink=sink,
        max_tokens=_max_tokens(request, len(tokens), context_tokens, default_max_tokens),
        sampling=sampling,
        text=AnswerText(tokenizer, stops),
        num_logprobs=num_logprobs,
    )


def _max_tokens(
    request: GenerateRequest, num_prompt_tokens: int, context_tokens: int, default_max_tokens: int
) -> int:
    room = context_tokens - num_prompt_tokens
    if request.max_tokens > room:
        raise InvalidValue(
            "max_tokens",
            request.max_tokens,
            f"at most {room} beside {num_prompt_tokens} prompt tokens "
            f"(context_tokens is {context_tokens})",
        )
    return request.max_tokens or min(default_max_tokens, room)


def _sampling(given: pb.Sampling) -> Sampling:
    temperature = given.temperature
    if not (math.isfinite(temperature) and 0 <= temperature <= MAX_TEMPERATURE):
        allowed = f"0 (greedy) to {MAX_TEMPERATURE:g}"
        raise InvalidValue("sampling.temperature", temperature, allowed)
    top_p = given.top_p if given.HasField("top_p") else None
    if top_p is not None and not 0 < top_p <= 1:
        raise InvalidValue("sampling.top_p", top_p, "above 0, up to 1")
    if not 0 <= given.min_p <= 1:
        raise InvalidValue("sampling.min_p", given.min_p, "0 to 1")
    penalty = given.repetition_penalty if given.HasField("repetition_penalty") else None
    if penalty is not None and not 0 < penalty <= MAX_PENALTY:
        allowed = f"above 0, up to {MAX_PENALTY:g}"
        raise InvalidValue("sampling.repetition_penalty", penalty, allowed)
    return Sampling(
        temperature=temperature,
        top_k=given.top_k or None,
        top_p=None if top_p == 1 else top_p,
        min_p=given.min_p or None,
        repetition_penalty=None if penalty == 1 else penalty,
        seed=given.seed if given.HasField("seed") else None,
    )


def _num_logprobs(request: GenerateRequest) -> int | None:
    if not request.HasField("logprobs"):
        return None
    if request.logprobs > MAX_LOGPROBS:
        raise InvalidValue("logprobs", request.logprobs, f"0 to {MAX_LOGPROBS}")
    return request.logprobs


def _stops(request: GenerateRequest) -> list[str]:
    if len(request.stop) > MAX_STOPS:
        raise InvalidValue("stop", f"{len(request.stop)} strings", f"at most {MAX_STOPS} strings")
    for i, stop in enumerate(request.stop):
        if not 1 <= len(stop.encode()) <= MAX_STOP_BYTES:
            raise InvalidValue(f"stop[{i}]", stop, f"1 to {MAX_STOP_BYTES} bytes")
    return list(request.stop)
