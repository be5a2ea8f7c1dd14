"""The n-gram baseline beside the model: both are charged for the same new text, before learning.

Called by `watchers.py`. A part of the state.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from learner.part import Snapshot
from learner.watch.ngram import Ngram
from learner.watch.protocol import Finding, Readings, Watch

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State
    from learner.step_report import StepReport

KEPT = 0.98
"""Of the running average that a document of average length leaves: about fifty documents."""


class Facts(msgspec.Struct, kw_only=True):
    """bits_per_byte: of the last new text; average: slow, what stalls are compared with."""

    num_bytes: int = 0
    bits_per_byte: float | None = None
    average: float | None = None


class Baseline(Watch):
    def __init__(self) -> None:
        self.ngram = Ngram()
        self.facts = Facts()

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        pass

    def after_update(self, state: "State", lesson: "Lesson", report: "StepReport") -> list[Finding]:  # noqa: ARG002
        if lesson.work != "new":
            return []
        texts = [one.told.encode() for one in lesson.shown]
        bits = sum(self.ngram.learn(text) for text in texts)
        facts = self.facts
        facts.bits_per_byte = bits / sum(map(len, texts))
        kept = KEPT ** len(texts)
        facts.average = (
            facts.bits_per_byte
            if facts.average is None
            else kept * facts.average + (1 - kept) * facts.bits_per_byte
        )
        return []

    def readings(self) -> Readings:
        bits = self.facts.bits_per_byte
        return {} if bits is None else {"ngram_bits_per_byte": {"": bits}}

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        self.facts.num_bytes = self.ngram.num_bytes
        return Snapshot(self.ngram.tensors(), msgspec.json.encode(self.facts))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        facts = msgspec.json.decode(snapshots[-1].facts, type=Facts)
        self.ngram.restore_tensors(snapshots[-1].tensors, facts.num_bytes)
        self.facts = facts
