"""A request of the Feedback service as the record that the `feedback` topic takes.

Called by `serving/services/feedback.py`.
"""

import time
from typing import Any

from riverrun.errors import InvalidValue, UnknownReply
from riverrun.feedback import Feedback, FeedbackKind, Turn
from riverrun.v1 import feedback_pb2 as pb
from serving.replies import Replies, Reply
from serving.requests.identifiers import bounded_text, identifier, version_name
from serving.requests.inputs import input_of

MAX_TEXT_BYTES = 1024 * 1024


def rating_of(request: pb.RateRequest, replies: Replies, by: str) -> Feedback:
    """
    Raises:
        InvalidValue: the field, its value and what it takes.
        UnknownReply: a request id that is not remembered, and no input and answer beside it.
    """
    if not -1 <= request.rating <= 1:  # false for NaN, too
        raise InvalidValue("rating", request.rating, "-1 (bad) to 1 (good)")
    reply = _reply_of(request.subject, replies, needs_answer=True)
    return _feedback(request.id, "rating", reply, by, rating=request.rating)


def correction_of(request: pb.CorrectRequest, replies: Replies, by: str) -> Feedback:
    """Raises as `rating_of`."""
    bounded_text("correction", request.correction, MAX_TEXT_BYTES, min_bytes=1)
    reply = _reply_of(request.subject, replies, needs_answer=False)
    return _feedback(request.id, "correction", reply, by, correction=request.correction)


def preference_of(request: pb.PreferRequest, replies: Replies, by: str) -> Feedback:
    """Raises as `rating_of`."""
    if request.subject.answer:
        allowed = "nothing: `chosen` and `rejected` are the answers"
        raise InvalidValue("subject.answer", request.subject.answer, allowed)
    if not request.chosen and not request.rejected:
        raise InvalidValue("rejected", "", "a text, as `chosen` is empty: one of the two is needed")
    bounded_text("chosen", request.chosen, MAX_TEXT_BYTES)
    bounded_text("rejected", request.rejected, MAX_TEXT_BYTES)
    names_reply = not (request.chosen and request.rejected)
    reply = _reply_of(request.subject, replies, needs_answer=names_reply)
    chosen, rejected = request.chosen or reply.answer, request.rejected or reply.answer
    if chosen == rejected:
        raise InvalidValue("rejected", rejected, "another text than the chosen one")
    return _feedback(request.id, "preference", reply, by, chosen=chosen, rejected=rejected)


def _reply_of(subject: pb.Subject, replies: Replies, *, needs_answer: bool) -> Reply:
    """The reply that is meant: the remembered one, or the one that the caller brings."""
    if subject.version_id:
        version_name("subject.version_id", subject.version_id)
    bounded_text("subject.answer", subject.answer, MAX_TEXT_BYTES)
    kind = subject.WhichOneof("input")
    turns = [] if kind is None else input_of(subject, prefix="subject.").turns
    _check_size(turns)
    if subject.request_id:
        identifier("subject.request_id", subject.request_id)
        known = replies.find(subject.request_id)
        if known is not None:
            _check_agrees(subject, turns, known)
            return known
        if kind is None or (needs_answer and not subject.answer):
            raise UnknownReply("subject.request_id", subject.request_id)
    elif kind is None:
        raise InvalidValue("subject", None, "a request_id, or an input (and what was answered)")
    elif needs_answer and not subject.answer:
        raise InvalidValue("subject.answer", "", "what was answered, as there is no request_id")
    return Reply(subject.request_id, turns, subject.answer, subject.version_id)


def _check_size(turns: list[Turn]) -> None:
    num_bytes = sum(len(turn.content.encode()) for turn in turns)
    if num_bytes > MAX_TEXT_BYTES:
        raise InvalidValue("subject.input", f"{num_bytes} bytes", f"at most {MAX_TEXT_BYTES} bytes")


def _check_agrees(subject: pb.Subject, turns: list[Turn], known: Reply) -> None:
    """What the caller brings beside a request id must be what was said: else one of them errs."""
    for field, given, remembered in (
        ("subject.input", turns, known.turns),
        ("subject.answer", subject.answer, known.answer),
        ("subject.version_id", subject.version_id, known.version),
    ):
        if given and given != remembered:
            allowed = "what the named request asked and was answered, or nothing"
            raise InvalidValue(field, given, allowed)


def _feedback(feedback_id: str, kind: FeedbackKind, reply: Reply, by: str, **what: Any) -> Feedback:
    return Feedback(
        id=identifier("id", feedback_id),
        kind=kind,
        at_ms=int(time.time() * 1000),
        request_id=reply.request_id,
        version=reply.version,
        messages=reply.turns,
        answer=reply.answer,
        by=by,
        **what,
    )
