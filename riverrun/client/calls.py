"""Every unary method once: where it is, what it sends, how its reply is read.

Both clients run these; neither knows a proto. Called by both clients.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from riverrun.answers import (
    Answer,
    Embeddings,
    FeedbackReceipt,
    Outcome,
    Scores,
    Status,
    StoredVersion,
    TokenCount,
)
from riverrun.client import replies, requests
from riverrun.client.connection import Stubs
from riverrun.client.options import AnswerOptions, Messages, Said, VersionOptions
from riverrun.v1 import admin_pb2, generation_pb2, model_pb2

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Call(Generic[Reply]):
    """`method` finds the method among the stubs."""

    method: Callable[[Stubs], Any]
    request: Any
    read: Callable[[Any], Reply]


def streaming(request: requests.AnswerRequest) -> Callable[[Stubs], Any]:
    """The streaming method that takes the request."""
    if isinstance(request, generation_pb2.ChatRequest):
        return lambda stubs: stubs.generation.Chat
    return lambda stubs: stubs.generation.Generate


def generate(prompt: str | None, options: AnswerOptions) -> Call[Answer]:
    request = requests.answer_request(prompt, options)
    if isinstance(request, generation_pb2.ChatRequest):
        return Call(lambda stubs: stubs.generation.CompleteChat, request, replies.complete)
    return Call(lambda stubs: stubs.generation.Complete, request, replies.complete)


def score(
    texts: Sequence[str],
    contexts: Sequence[str] | None,
    chosen: VersionOptions,
    *,
    per_token: bool,
) -> Call[Scores]:
    request = requests.score_request(texts, contexts, chosen, per_token=per_token)
    return Call(lambda stubs: stubs.generation.Score, request, replies.scores)


def embed(texts: Sequence[str], chosen: VersionOptions) -> Call[Embeddings]:
    request = requests.embed_request(texts, chosen)
    return Call(lambda stubs: stubs.generation.Embed, request, replies.embeddings)


def count_tokens(prompt: str | None, messages: Messages | None) -> Call[TokenCount]:
    request = requests.count_request(prompt, messages)
    return Call(lambda stubs: stubs.generation.CountTokens, request, replies.token_count)


def status() -> Call[Status]:
    request = model_pb2.GetStatusRequest()
    return Call(lambda stubs: stubs.model.GetStatus, request, replies.got_status)


def version(version: str) -> Call[StoredVersion]:
    request = requests.get_request(version)
    return Call(lambda stubs: stubs.model.GetVersion, request, replies.got_version)


def versions(page_size: int, page_token: str) -> Call[tuple[list[StoredVersion], str]]:
    """One page, and the token of the next; empty after the last."""

    def read(reply: model_pb2.ListVersionsResponse) -> tuple[list[StoredVersion], str]:
        return [replies.stored_version(one) for one in reply.versions], reply.next_page_token

    request = requests.list_request(page_size, page_token)
    return Call(lambda stubs: stubs.model.ListVersions, request, read)


def rate(
    said: Said | None, rating: float, given_id: str | None, **subject: Any
) -> Call[FeedbackReceipt]:
    request = requests.rate_request(requests.subject(said, **subject), rating, given_id)
    return Call(lambda stubs: stubs.feedback.Rate, request, replies.receipt)


def correct(
    said: Said | None, correction: str, given_id: str | None, **subject: Any
) -> Call[FeedbackReceipt]:
    request = requests.correct_request(requests.subject(said, **subject), correction, given_id)
    return Call(lambda stubs: stubs.feedback.Correct, request, replies.receipt)


def prefer(
    said: Said | None,
    chosen: str | None,
    rejected: str | None,
    given_id: str | None,
    **subject: Any,
) -> Call[FeedbackReceipt]:
    about = requests.subject(said, **subject)
    request = requests.prefer_request(about, chosen, rejected, given_id)
    return Call(lambda stubs: stubs.feedback.Prefer, request, replies.receipt)


def promote(order: admin_pb2.Order, version: str) -> Call[Outcome]:
    request = admin_pb2.PromoteRequest(order=order, version_id=version)
    return Call(lambda stubs: stubs.admin.Promote, request, replies.outcome)


def hold(order: admin_pb2.Order) -> Call[Outcome]:
    request = admin_pb2.HoldRequest(order=order)
    return Call(lambda stubs: stubs.admin.Hold, request, replies.outcome)


def release(order: admin_pb2.Order) -> Call[Outcome]:
    request = admin_pb2.ReleaseRequest(order=order)
    return Call(lambda stubs: stubs.admin.Release, request, replies.outcome)


def roll_back(order: admin_pb2.Order, version: str | None) -> Call[Outcome]:
    request = admin_pb2.RollBackRequest(order=order, version_id=version or "")
    return Call(lambda stubs: stubs.admin.RollBack, request, replies.outcome)


def pause_learning(order: admin_pb2.Order) -> Call[Outcome]:
    request = admin_pb2.PauseLearningRequest(order=order)
    return Call(lambda stubs: stubs.admin.PauseLearning, request, replies.outcome)


def resume_learning(order: admin_pb2.Order) -> Call[Outcome]:
    request = admin_pb2.ResumeLearningRequest(order=order)
    return Call(lambda stubs: stubs.admin.ResumeLearning, request, replies.outcome)


def undo(
    order: admin_pb2.Order,
    ranges: Iterable[tuple[int, int, int]] | None,
    source: str | None,
    version: str | None,
) -> Call[Outcome]:
    request = requests.undo_request(order, ranges, source, version)
    return Call(lambda stubs: stubs.admin.Undo, request, replies.outcome)


def release_source(order: admin_pb2.Order, source: str) -> Call[Outcome]:
    request = admin_pb2.ReleaseSourceRequest(order=order, source=source)
    return Call(lambda stubs: stubs.admin.ReleaseSource, request, replies.outcome)
