"""Bytes of a `feedback` value to the `Feedback` that they are.

serving writes only what fits; any other producer may write too. Called by `FeedbackCheck`.
"""

import msgspec

from riverrun.feedback import Feedback, FeedbackKind
from stream.rejected import Rejected, bad_field

SAYS: dict[FeedbackKind, tuple[str, ...]] = {
    "rating": ("rating",),
    "correction": ("correction",),
    "preference": ("chosen", "rejected"),
}
"""The fields that a kind has, and no other kind."""


def read_feedback(value: bytes | None) -> Feedback:
    """Raises Rejected: no_value, not_utf8, bad_json, bad_field with the field named."""
    if value is None:
        raise Rejected("no_value", "the value is null (a tombstone)")
    try:
        value.decode()
    except UnicodeDecodeError as error:
        at = f"byte {value[error.start]:#04x} at {error.start} ({error.reason})"
        raise Rejected("not_utf8", at) from None
    try:
        feedback = msgspec.json.decode(value, type=Feedback)
    except msgspec.ValidationError as error:
        raise Rejected("bad_field", str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected("bad_json", str(error)) from None
    _check(feedback)
    return feedback


def _check(feedback: Feedback) -> None:
    """What the types alone do not say."""
    if not feedback.id.strip():
        raise bad_field("id", feedback.id, "a name of its own")
    kind = feedback.kind
    for name in (name for names in SAYS.values() for name in names):
        given, is_wanted = getattr(feedback, name), name in SAYS[kind]
        if is_wanted and given is None:
            raise bad_field(name, "no such field", f"what a {kind} says")
        if not is_wanted and given is not None:
            raise bad_field(name, given, f"nothing in a {kind}")
    if feedback.rating is not None and not -1 <= feedback.rating <= 1:
        raise bad_field("rating", feedback.rating, "-1 (bad) to 1 (good)")
    if feedback.correction == "":
        raise bad_field("correction", "", "a text that is not empty")
    if kind == "preference" and feedback.chosen == feedback.rejected:
        raise bad_field("rejected", feedback.rejected, "another text than the chosen one")
    if not feedback.request_id and not feedback.messages:
        raise bad_field("messages", [], "what was asked, as there is no request_id")
