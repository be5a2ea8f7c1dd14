"""Bodies of OpenAI's API as requests of ours.

Called by `serving/http/answers.py`. Ranges of sampling values are checked where gRPC's are
(`serving/requests/generate.py`); here are only the names and the shapes.
"""

from dataclasses import dataclass
from typing import Any

from riverrun.errors import InvalidValue, UnknownModel
from riverrun.v1 import generation_pb2 as pb
from serving.http.fields import Fields, plain_text
from serving.http.version_field import fill_version
from serving.sequence import MAX_LOGPROBS

COMPLETION_MAX_TOKENS = 16
"""OpenAI's default for completions. A chat's is whatever fits the context."""

DEFAULT_TEMPERATURE = 1.0
"""OpenAI's; gRPC's is 0."""

ALIAS = "riverrun"
"""Names whatever model is served."""

IGNORED = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
)
REFUSED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
}
REFUSED_COMPLETION: dict[str, tuple[Any, ...]] = {
    **REFUSED,
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
}
REFUSED_CHAT: dict[str, tuple[Any, ...]] = {
    **REFUSED,
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": ("none",),
    "verbosity": (),
    "web_search_options": (),
}
ROLE_NAMES = {"developer": "system"}
"""OpenAI's newer name of a role, and the one that templates know."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`model`: as the caller names it. `default_max_tokens`: None for all that fits. `wait_s`: for
    weights that are not live yet; None takes `serving.max_version_wait_s`."""

    request: pb.GenerateRequest | pb.ChatRequest
    model: str
    default_max_tokens: int | None
    streams: bool
    includes_usage: bool
    wait_s: float | None


def completion_of(body: dict[str, Any], served: str) -> Asked:
    """
    served: the model's name.

    Raises:
        InvalidValue, UnknownModel: the field, its value and what it takes.
    """
    fields = Fields(body)
    prompt = fields.take("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        allowed = "one text (no list of several, and no token ids)"
        raise InvalidValue("prompt", _shape(prompt), allowed)
    request = pb.GenerateRequest(prompt=plain_text("prompt", prompt))
    logprobs = fields.whole("logprobs", 0, MAX_LOGPROBS)
    if logprobs is not None:
        request.logprobs = logprobs
    fields.refuse(REFUSED_COMPLETION)
    return _asked(fields, request, served, COMPLETION_MAX_TOKENS)


def chat_of(body: dict[str, Any], served: str) -> Asked:
    """As `completion_of`."""
    fields = Fields(body)
    request = pb.ChatRequest(messages=_messages(fields.take("messages")))
    has_logprobs = fields.flag("logprobs")
    top = fields.whole("top_logprobs", 0, MAX_LOGPROBS)
    if top is not None and not has_logprobs:
        raise InvalidValue("top_logprobs", top, "nothing without logprobs: true")
    if has_logprobs:
        request.logprobs = top or 0
    fields.refuse(REFUSED_CHAT)
    most = fields.whole("max_completion_tokens", 1, 2**32 - 1)
    if most is not None:
        older = fields.whole("max_tokens", 1, 2**32 - 1)
        if older not in (None, most):
            allowed = "the same as max_completion_tokens, or nothing"
            raise InvalidValue("max_tokens", older, allowed)
        request.max_tokens = most
    return _asked(fields, request, served, None)


def _asked(
    fields: Fields,
    request: pb.GenerateRequest | pb.ChatRequest,
    served: str,
    default_max_tokens: int | None,
) -> Asked:
    """The fields that both have."""
    model = _model(fields, request, served)
    most = fields.whole("max_tokens", 1, 2**32 - 1)
    if most is not None:
        request.max_tokens = most
    request.stop.extend(_stops(fields.take("stop")))
    _fill_sampling(fields, request.sampling)
    streams = fields.flag("stream")
    wait_s = fill_version(fields, request.version, streams=streams)
    includes_usage = False
    options = fields.object("stream_options")
    if options is not None:
        if not streams:
            raise InvalidValue("stream_options", "an object", "nothing without stream: true")
        includes_usage = options.flag("include_usage")
        options.ignore(frozenset({"include_obfuscation"}))
        options.finish()
    fields.ignore(IGNORED)
    fields.finish()
    return Asked(request, model, default_max_tokens, streams, includes_usage, wait_s)


def _model(fields: Fields, request: pb.GenerateRequest | pb.ChatRequest, served: str) -> str:
    """The name that was given; `MODEL@VERSION` asks for a version."""
    model = fields.text("model")
    allowed = f"`{served}` (or `{ALIAS}`; with `@VERSION` after it: that version)"
    if model is None:
        raise InvalidValue("model", None, allowed)
    if model in (served, ALIAS):
        return model
    name, at, version = model.rpartition("@")
    if not at or name not in (served, ALIAS):
        raise UnknownModel("model", model, allowed)
    request.version.id = version
    return model


def _fill_sampling(fields: Fields, sampling: pb.Sampling) -> None:
    temperature = fields.number("temperature")
    sampling.temperature = DEFAULT_TEMPERATURE if temperature is None else temperature
    top_p = fields.number("top_p")
    if top_p is not None:
        sampling.top_p = top_p
    seed = fields.whole("seed", -(2**63), 2**64 - 1)
    if seed is not None:
        sampling.seed = seed % 2**64
    # Not OpenAI's; other servers take them by these names.
    sampling.top_k = max(0, fields.whole("top_k", -1, 2**32 - 1) or 0)
    min_p = fields.number("min_p")
    if min_p is not None:
        sampling.min_p = min_p
    penalty = fields.number("repetition_penalty")
    if penalty is not None:
        sampling.repetition_penalty = penalty


def _stops(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [plain_text("stop", value)]
    if not isinstance(value, list):
        raise InvalidValue("stop", value, "a text, or a list of texts")
    return [plain_text(f"stop[{i}]", one) for i, one in enumerate(value)]


def _messages(value: Any) -> list[pb.Message]:
    if not isinstance(value, list):
        raise InvalidValue("messages", _shape(value), "a list of messages")
    return [_message(f"messages[{i}]", one) for i, one in enumerate(value)]


def _message(field: str, value: Any) -> pb.Message:
    if not isinstance(value, dict):
        raise InvalidValue(field, _shape(value), "an object with role and content")
    fields = Fields(value, f"{field}.")
    role = fields.text("role") or ""
    content = fields.take("content")
    if isinstance(content, list):
        parts = [_part(f"{field}.content[{i}]", part) for i, part in enumerate(content)]
        content = "".join(parts)
    text = plain_text(f"{field}.content", content)
    fields.ignore(frozenset({"name", "tool_call_id"}))
    fields.refuse({"tool_calls": ([],), "function_call": (), "refusal": (), "audio": ()})
    fields.ignore(frozenset({"annotations"}))
    fields.finish()
    return pb.Message(role=ROLE_NAMES.get(role, role), content=text)


def _part(field: str, value: Any) -> str:
    if not isinstance(value, dict) or value.get("type") != "text":
        raise InvalidValue(field, _shape(value), 'a part {"type": "text", "text": …}')
    return plain_text(f"{field}.text", value.get("text"))


def _shape(value: Any) -> str:
    """What a wrong value is, without quoting a prompt into an error."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of type {value.get('type')!r}"
    return type(value).__name__
