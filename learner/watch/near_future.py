"""Loss of text a gap ahead: does learning help with what comes, or only with the next document?

The prequential loss can be gamed: neighbours in a stream are alike, so a model that copies the
last document looks clever. Here new text is judged by weights that saw nothing of the `gap`
documents before it: a copy of the served weights waits until so many documents went by, then
judges a sample of those that come, and is replaced after as many again. So the gap is between one
and two times `gap` documents.

The copy is bfloat16 (half a byte pair a weight; it rounds the loss by well under a percent), and is
in the checkpoint, so that a restart judges alike. What it may judge is bounded by an allowance.

Source: Hammoud et al., Rapid Adaptation in Online Continual Learning, 2023 (arXiv:2305.09275),
where accuracy is measured on samples a gap ahead; there offline.

A part of the state. Called by `watchers.py`.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor

from learner.content import Content, told
from learner.part import Snapshot
from learner.watch.allowance import FORWARD, Allowance
from learner.watch.protocol import Finding, Readings, Watch
from learner.watch.surprise import Surprise, wearing

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State
    from learner.step_report import StepReport

KEPT = 0.9
"""Of the running average that one judged document leaves."""
SAVED_TEXTS = 4
"""Documents whose cost may be saved up."""


class Facts(msgspec.Struct, kw_only=True):
    """taken_at: documents learned when the copy was taken. gap: of the last judged document."""

    allowance: Allowance = msgspec.field(default_factory=Allowance)
    taken_at: int | None = None
    average: float | None = None
    gap: int = 0


class NearFuture(Watch):
    def __init__(self, surprise: Surprise, gap: int, share: float) -> None:
        self._surprise = surprise
        self._gap = gap
        self._share = share
        self._copy: dict[str, Tensor] = {}
        self._is_copy_new = False
        self.facts = Facts()

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        pass

    def after_update(self, state: "State", lesson: "Lesson", report: "StepReport") -> list[Finding]:
        facts = self.facts
        facts.allowance.earn(sum(report.num_tokens.values()), self._share)
        if lesson.work != "new" or self._gap == 0:
            return []
        num_before = state.progress.num_documents - len(lesson.shown)
        age = None if facts.taken_at is None else num_before - facts.taken_at
        if age is not None and age >= self._gap:
            self._judge(state, [one.content for one in lesson.shown], age)
        if (age is None or age >= 2 * self._gap) and report.is_finite:
            weights = state.served()
            self._copy = {n: w.detach().to(torch.bfloat16) for n, w in weights.items()}
            self._is_copy_new = True
            facts.taken_at = state.progress.num_documents
        return []

    def _judge(self, state: "State", texts: Sequence[Content], age: int) -> None:
        facts = self.facts
        costs = [self._surprise.num_tokens(text) * FORWARD for text in texts]
        facts.allowance.cap(SAVED_TEXTS * max(costs))
        chosen = [t for t, cost in zip(texts, costs, strict=True) if facts.allowance.spend(cost)]
        if not chosen:
            return
        with wearing(state.model, self._copy):
            nats = self._surprise.nats(state.model, chosen)
        for text, nats_of_one in zip(chosen, nats, strict=True):
            bits = nats_of_one / math.log(2) / len(told(text).encode())
            if not math.isfinite(bits):
                continue
            before = facts.average
            facts.average = bits if before is None else KEPT * before + (1 - KEPT) * bits
            facts.gap = age

    def readings(self) -> Readings:
        if self.facts.average is None:
            return {}
        return {
            "near_future_bits_per_byte": {"": self.facts.average},
            "near_future_gap": {"": float(self.facts.gap)},
        }

    def snapshot(self, *, whole: bool) -> Snapshot:
        tensors = self._copy if whole or self._is_copy_new else {}
        self._is_copy_new = False
        return Snapshot(dict(tensors), msgspec.json.encode(self.facts), whole)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        self.facts = msgspec.json.decode(snapshots[-1].facts, type=Facts)
        self._copy = {}
        for one in snapshots:
            self._copy |= {name: tensor.clone() for name, tensor in one.tensors.items()}
        self._is_copy_new = False
