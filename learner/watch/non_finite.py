"""Whose fault it is that a step's loss or gradient was not finite, and the record of it.

Examples share rows, and 0 x NaN is NaN, so one bad document spoils its neighbours' losses. Each
document is therefore tried alone, without gradients; that costs a forward pass, and only then.

    documents   those that are not finite alone: to blame
    weights     text from the memory is not finite alone either, or all of several documents are:
                the weights are broken, the documents are not to blame and stay due
    gradient    every loss is finite alone, but the gradient was not: all of the step's documents
                are suspects

Documents that are to blame, and suspects, are due no more and do not enter the memory: they would
come back and spoil the next step. Their offsets stay on record. Called by `step.py`.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from learner.watch.protocol import Finding

MAX_RECORDS = 100
MAX_FINDINGS = 16
"""Of one step; the record names all documents."""

Cause = Literal["documents", "weights", "gradient"]


class Suspect(msgspec.Struct, frozen=True):
    """A document of a skipped step; its raw offset is None when its text came before these were
    kept."""

    source: str
    partition: int | None
    raw_offset: int | None


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A step that changed no weight. indices: of `documents` in the step."""

    step: int
    cause: Cause
    documents: list[Suspect]
    indices: list[int]

    @property
    def retired(self) -> frozenset[int]:
        """Indices, in the step, of documents that must not come back."""
        return frozenset() if self.cause == "weights" else frozenset(self.indices)

    def describe(self) -> str:
        """For the log: the cause, and the raw offsets of the first documents."""
        places = [
            f"{one.source} {one.partition}:{one.raw_offset}"
            for one in self.documents[:MAX_FINDINGS]
        ]
        more = len(self.documents) - len(places)
        told = ", ".join(places) + (f" and {more} more" if more else "")
        return f"not finite for the {self.cause}; raw offsets {told}"

    def findings(self) -> list[Finding]:
        """One a document, up to a bound; at least one."""
        common = {"documents": float(len(self.documents))}
        if self.cause == "weights" or not self.documents:
            return [Finding(kind="non_finite", subject=self.cause, numbers=common)]
        return [
            Finding(
                kind="non_finite",
                subject=one.source,
                numbers=common
                | (
                    {"partition": float(one.partition), "raw_offset": float(one.raw_offset)}
                    if one.partition is not None and one.raw_offset is not None
                    else {}
                ),
            )
            for one in self.documents[:MAX_FINDINGS]
        ]


def blame(
    step: int, suspects: Sequence[Suspect], alone: Sequence[float], memory_alone: float
) -> Skipped:
    """alone: nats of each document on its own; memory_alone: of the replayed text, 0 if none."""
    bad = [i for i, nats in enumerate(alone) if not math.isfinite(nats)]
    cause: Cause
    if not math.isfinite(memory_alone) or (len(bad) == len(alone) > 1):
        cause, indices = "weights", list(range(len(alone)))
    elif bad:
        cause, indices = "documents", bad
    else:
        cause, indices = "gradient", list(range(len(alone)))
    return Skipped(
        step=step, cause=cause, documents=[suspects[i] for i in indices], indices=indices
    )


def note(records: list[Skipped], skipped: Skipped) -> None:
    """The newest stay."""
    records.append(skipped)
    del records[:-MAX_RECORDS]
