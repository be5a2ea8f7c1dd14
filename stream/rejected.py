"""How a stage says that a record is not a document.

Raised by the stages, turned into a `Rejection` by `stream.pipeline`.
"""

from riverrun.records import Reason


class Rejected(Exception):
    """The record goes to the dead letters for this reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.source: str | None = None


def bad_field(name: str, got: object, wanted: str) -> Rejected:
    """A field (or header) whose value is not what it takes."""
    shown = repr(got)
    if len(shown) > 100:
        shown = f"{shown[:80]}… ({len(shown)} characters)"
    return Rejected("bad_field", f"{name}: got {shown}, wanted {wanted}")
