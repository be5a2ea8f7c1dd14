"""What each stage of cleaning did to one record, for a reader.

The same pipeline as the worker's, watched. Called by `riverrun clean` and `bench clean`.
"""

import difflib
from dataclasses import dataclass, field
from typing import get_args

from riverrun.beginnings import num_shared
from riverrun.records import Document, Reason, Rejection
from stream.draft import Draft
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord

BY_STAGES = frozenset(get_args(Reason)) - {
    *("not_utf8", "empty", "too_large", "bad_json", "bad_field", "no_value", "failed", "future"),
    *("duplicate", "near_duplicate", "paused", "resumed", "sent_back"),
}
"""Reasons that only stages give."""


@dataclass(frozen=True, slots=True)
class Change:
    """A stage, the text that came to it and the text that it made."""

    stage: str
    before: str
    after: str

    def summary(self) -> str:
        """`-3 +1 characters: 'donâ€™t' -> 'don’t'`: the first difference, with a little around."""
        start = num_shared(self.before, self.after)
        limit = min(len(self.before), len(self.after)) - start
        end = num_shared(self.before[::-1], self.after[::-1], limit)
        old = self.before[start : len(self.before) - end]
        new = self.after[start : len(self.after) - end]
        grown = len(self.after) - len(self.before)
        return f"{grown:+d} characters: {_short(old)} -> {_short(new)}"

    def diff(self) -> list[str]:
        """A unified diff by lines."""
        return list(
            difflib.unified_diff(
                self.before.split("\n"), self.after.split("\n"), "before", self.stage, lineterm=""
            )
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """changes: by stage, those that changed the text. result: what became of the record."""

    profile: str
    result: Document | Rejection
    rejected_by: str | None
    changes: list[Change] = field(default_factory=list)


def explain(pipeline: Pipeline, raw: RawRecord) -> Explanation:
    """Clean one record and say what happened."""
    changes: list[Change] = []
    done: list[str] = []

    def watch(stage: str, before: Draft, after: Draft) -> None:
        done.append(stage)
        if before.text != after.text:
            changes.append(Change(stage, before.text, after.text))

    result = pipeline.clean(raw, watch)
    profile = pipeline.profiles.for_record(result.source or "", raw.topic)
    rejected_by = None
    if isinstance(result, Rejection):
        rest = [name for name, _ in profile.stages[len(done) :]]
        # Without a stage that was done, or with all of them done, it was the record itself.
        rejected_by = rest[0] if rest and (done or result.reason in BY_STAGES) else "record"
    return Explanation(profile.name, result, rejected_by, changes)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:40]}…{text[-15:]}")
