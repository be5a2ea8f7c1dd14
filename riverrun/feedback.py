"""What users say of answers: one record of the `feedback` topic each, keyed by the request's id.

Written by serving with acks=all before it replies, or by any producer. Idempotent by `id`.
"""

from typing import Literal

import msgspec

FeedbackKind = Literal["rating", "correction", "preference"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: str
    content: str


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rating, a correction, or a chosen and a rejected answer.

    request_id: of the reply that is meant; empty when none of ours is.
    messages: what was asked, a plain prompt being one turn of the role `prompt`.
    answer: what was replied. rating: -1 (bad) to 1 (good).
    correction: what should have been said. chosen, rejected: two answers, the better one first.
    """

    id: str
    kind: FeedbackKind
    at_ms: int
    request_id: str = ""
    version: str = ""
    messages: list[Turn] = []
    answer: str = ""
    rating: float | None = None
    correction: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    by: str = ""
