"""Keyword arguments as requests.

Called by both clients.
"""

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from riverrun.answers import Answer
from riverrun.client.options import (
    After,
    AnswerOptions,
    Messages,
    OrderOptions,
    Said,
    VersionOptions,
)
from riverrun.errors import InvalidValue
from riverrun.receipt import Receipt
from riverrun.v1 import admin_pb2, feedback_pb2, generation_pb2, model_pb2

ADMIN_MARGIN_S = 5.0
"""A command's call may take this much longer than its wait for the learner."""

AnswerRequest = generation_pb2.GenerateRequest | generation_pb2.ChatRequest
Order = admin_pb2.Order
UINT32 = "0 to 4294967295"
UINT64 = "0 to 2**64 - 1"


def answer_request(prompt: str | None, options: AnswerOptions) -> AnswerRequest:
    """
    Raises:
        InvalidValue: neither a prompt nor messages, or both; a value that its field cannot hold.
        TypeError: an option that is none.
    """
    _only(AnswerOptions.__optional_keys__, options)
    messages = options.get("messages")
    _one_of("prompt, messages", prompt, messages)
    request: AnswerRequest
    if messages is None:
        request = generation_pb2.GenerateRequest()
        with _fits("prompt", prompt, "a text"):
            request.prompt = prompt or ""
    else:
        request = generation_pb2.ChatRequest()
        _add_messages(request, messages)
    with _fits("max_tokens", options.get("max_tokens"), UINT32):
        request.max_tokens = options.get("max_tokens", 0)
    stop = options.get("stop", ())
    with _fits("stop", stop, "a list of texts"):
        request.stop.extend([stop] if isinstance(stop, str) else stop)
    logprobs = options.get("logprobs")
    if logprobs is not None:
        with _fits("logprobs", logprobs, UINT32):
            request.logprobs = logprobs
    _choose_tokens(request.sampling, options)
    if options.get("follow"):
        request.version.mode = generation_pb2.VERSION_MODE_FOLLOW
    _choose_version(request, options)
    return request


def _only(known: frozenset[str], options: Mapping[str, object]) -> None:
    unknown = sorted(options.keys() - known)
    if unknown:
        raise TypeError(f"no option of this call: {', '.join(unknown)}")


def _choose_tokens(sampling: Any, options: AnswerOptions) -> None:
    for name, value, allowed in (
        ("temperature", options.get("temperature", 0.0), "a number"),
        ("top_k", options.get("top_k", 0), UINT32),
        ("min_p", options.get("min_p", 0.0), "a number"),
        ("top_p", options.get("top_p"), "a number"),
        ("repetition_penalty", options.get("repetition_penalty"), "a number"),
        ("seed", options.get("seed"), UINT64),
    ):
        if value is not None:
            with _fits(name, value, allowed):
                setattr(sampling, name, value)


def _choose_version(request: Any, options: VersionOptions) -> None:
    """`version` of a request; absent where nothing was chosen."""
    named = {"id": options.get("version"), "min_id": options.get("min_version")}
    for name, value in named.items():
        if value is not None:
            with _fits(name, value, "a version's id"):
                setattr(request.version, name, value)
    min_step = options.get("min_step", 0)
    if min_step:
        with _fits("min_step", min_step, UINT64):
            request.version.min_step = min_step
    if options.get("never_defer"):
        request.version.never_defer = True
    after = options.get("after")
    if after is not None:
        with _fits("after", after, "a receipt, or raw offsets by partition"):
            request.version.after.update(_offsets(after))


def _offsets(after: After) -> Mapping[int, int]:
    return after.offsets if isinstance(after, Receipt) else after


def _add_messages(to: Any, messages: Messages) -> None:
    with _fits("messages", messages, "objects with `role` and `content`"):
        for message in messages:
            to.messages.add(**message)


def score_request(
    texts: Sequence[str],
    contexts: Sequence[str] | None,
    chosen: VersionOptions,
    *,
    per_token: bool,
) -> generation_pb2.ScoreRequest:
    """
    Raises:
        InvalidValue: another number of contexts than of texts; a value that its field cannot hold.
        TypeError: an option that is none.
    """
    _only(VersionOptions.__optional_keys__, chosen)
    texts = _list_of_texts("texts", texts)
    if contexts is not None and len(contexts) != len(texts):
        raise InvalidValue("contexts", f"{len(contexts)} texts", f"{len(texts)}, one a text")
    request = generation_pb2.ScoreRequest(per_token=per_token)
    _choose_version(request, chosen)
    with _fits("texts, contexts", texts, "texts"):
        for text, context in zip(texts, contexts or [""] * len(texts), strict=True):
            request.inputs.add(text=text, context=context)
    return request


def embed_request(texts: Sequence[str], chosen: VersionOptions) -> generation_pb2.EmbedRequest:
    """
    Raises:
        InvalidValue: a value that its field cannot hold.
        TypeError: an option that is none.
    """
    _only(VersionOptions.__optional_keys__, chosen)
    texts = _list_of_texts("texts", texts)
    with _fits("texts", texts, "texts"):
        request = generation_pb2.EmbedRequest(texts=texts)
    _choose_version(request, chosen)
    return request


def count_request(
    prompt: str | None, messages: Messages | None
) -> generation_pb2.CountTokensRequest:
    """Raises InvalidValue: neither a prompt nor messages, or both."""
    request = generation_pb2.CountTokensRequest()
    _set_input(request, prompt, messages)
    return request


def _set_input(request: Any, prompt: str | None, messages: Messages | None) -> None:
    _one_of("prompt, messages", prompt, messages)
    if prompt is not None:
        with _fits("prompt", prompt, "a text"):
            request.prompt = prompt
    else:
        request.conversation.SetInParent()
        _add_messages(request.conversation, messages or ())


# Model


def watch_request(interval_s: float) -> model_pb2.WatchStatusRequest:
    request = model_pb2.WatchStatusRequest()
    with _fits("interval_s", interval_s, "0.01 to 60"):
        request.interval_ms = round(interval_s * 1000)
    return request


def list_request(page_size: int, page_token: str) -> model_pb2.ListVersionsRequest:
    with _fits("page_size", page_size, UINT32):
        return model_pb2.ListVersionsRequest(page_size=page_size, page_token=page_token)


def get_request(version: str) -> model_pb2.GetVersionRequest:
    with _fits("version", version, "a version's id"):
        return model_pb2.GetVersionRequest(id=version)


def trace_request(
    version: str, max_versions: int, *, documents: bool
) -> model_pb2.TraceVersionRequest:
    with _fits("version, max_versions", (version, max_versions), f"an id, {UINT32}"):
        return model_pb2.TraceVersionRequest(
            id=version, max_versions=max_versions, documents=documents
        )


# Feedback


def subject(
    said: Said | None,
    *,
    prompt: str | None = None,
    messages: Messages | None = None,
    answer: str | None = None,
) -> feedback_pb2.Subject:
    """The answer that is meant.

    Raises:
        InvalidValue: neither an answer nor an input; a value that its field cannot hold.
    """
    found = feedback_pb2.Subject()
    if said is not None:
        with _fits("said", said, "an Answer, or its request id"):
            found.request_id = said.request_id if isinstance(said, Answer) else said
    if prompt is not None or messages is not None or said is None:
        _set_input(found, prompt, messages)
    with _fits("answer", answer, "a text"):
        found.answer = answer or ""
    return found


def feedback_id(given: str | None) -> str:
    """A fresh id, unless one is given: a call that is tried again must not write twice."""
    return given or secrets.token_hex(16)


def rate_request(subject: Any, rating: float, given_id: str | None) -> feedback_pb2.RateRequest:
    with _fits("rating", rating, "-1 (bad) to 1 (good)"):
        return feedback_pb2.RateRequest(id=feedback_id(given_id), subject=subject, rating=rating)


def correct_request(
    subject: Any, correction: str, given_id: str | None
) -> feedback_pb2.CorrectRequest:
    with _fits("correction", correction, "a text"):
        return feedback_pb2.CorrectRequest(
            id=feedback_id(given_id), subject=subject, correction=correction
        )


def prefer_request(
    subject: Any, chosen: str | None, rejected: str | None, given_id: str | None
) -> feedback_pb2.PreferRequest:
    with _fits("chosen, rejected", (chosen, rejected), "texts"):
        return feedback_pb2.PreferRequest(
            id=feedback_id(given_id),
            subject=subject,
            chosen=chosen or "",
            rejected=rejected or "",
        )


# Admin


def order(options: OrderOptions) -> admin_pb2.Order:
    """What every command takes; with a fresh id, so that a second try acts once."""
    _only(OrderOptions.__optional_keys__, options)
    reason, command_id = options.get("reason", ""), options.get("command_id")
    wait_s = options.get("wait_s")
    made = admin_pb2.Order()
    with _fits("reason, command_id", (reason, command_id), "texts"):
        made.reason = reason
        made.command_id = command_id or secrets.token_hex(8)
    if wait_s is not None:
        with _fits("wait_s", wait_s, "0 to 600"):
            made.wait_ms = round(wait_s * 1000)
    return made


def order_timeout_s(options: OrderOptions) -> float | None:
    """Of the call: a little more than its wait for the learner; None for the client's own."""
    wait_s = options.get("wait_s")
    return None if wait_s is None else wait_s + ADMIN_MARGIN_S


def undo_request(
    order: admin_pb2.Order,
    ranges: Iterable[tuple[int, int, int]] | None,
    source: str | None,
    version: str | None,
) -> admin_pb2.UndoRequest:
    """Raises InvalidValue unless exactly one of the three is given."""
    if sum(what is not None for what in (ranges, source, version)) != 1:
        raise InvalidValue("ranges, source, version", None, "exactly one of the three")
    request = admin_pb2.UndoRequest(order=order)
    with _fits("ranges, source, version", ranges or source or version, "(partition, first, last)"):
        if source is not None:
            request.source = source
        elif version is not None:
            request.version_id = version
        else:
            request.ranges.SetInParent()
            for partition, first, last in ranges or ():
                request.ranges.ranges.add(partition=partition, first=first, last=last)
    return request


def _one_of(field: str, prompt: str | None, messages: Messages | None) -> None:
    if (prompt is None) == (messages is None):
        raise InvalidValue(field, None if prompt is None else "both", "exactly one of the two")


def _list_of_texts(field: str, texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise InvalidValue(field, texts, "a list of texts")
    return list(texts)


@contextlib.contextmanager
def _fits(field: str, value: object, allowed: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidValue(field, value, allowed) from error
