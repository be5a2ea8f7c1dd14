"""What the served weights know of held-out text: loss by source and bucket, forgetting, transfer.

Measured on a schedule in trained tokens, so that a step that is done again measures the same: an
evaluation of `budget` tokens is done as soon as it costs no more than its share of the training
since the last. Whole cells are measured, the newest bucket of each source first, then those that
were measured longest ago.

Forgetting compares each cell with its own best evaluation over the texts that both saw, so a
reservoir that changes its texts changes no number. It is 0 while a cell is at its best.

The gate measures candidates with `choose` and `measure`, which change nothing.

A part of the state. Called by `watchers.py`.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from torch import Tensor

from learner.content import told
from learner.part import Snapshot
from learner.watch.allowance import FORWARD, Allowance
from learner.watch.held_out import Cell, Held, HeldOut
from learner.watch.ngram import Ngram
from learner.watch.protocol import LABEL_SEPARATOR, Finding, Readings, Watch
from learner.watch.retention_matrix import RetentionMatrix, Table
from learner.watch.surprise import Surprise, wearing
from riverrun.model.decoder import Decoder

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State
    from learner.step_report import StepReport


class Measured(NamedTuple):
    """One cell under some weights. nats: of each of its texts."""

    source: str
    bucket: int
    is_newest: bool
    num_bytes: int
    nats: list[float]

    @property
    def bits_per_byte(self) -> float:
        return sum(self.nats) / math.log(2) / self.num_bytes


def choose(held_out: HeldOut, surprise: Surprise, budget: int) -> list[Cell]:
    """Cells of about `budget` tokens: half for the newest bucket of each source, then those that
    were measured longest ago. At least one, if there is text at all."""
    cells = [cell for cell in held_out.cells() if cell.texts]
    cells.sort(key=lambda cell: cell.measured_at)
    newest = [c for c in cells if c.bucket == held_out.eras[c.source].now]
    older = [c for c in cells if c.bucket != held_out.eras[c.source].now]
    chosen: list[Cell] = []
    num_tokens = 0
    half = budget // 2 if older else budget
    for group, limit in ((newest, half), (older, budget), (newest, budget)):
        for cell in group:
            if any(cell is one for one in chosen):
                continue
            cost = sum(surprise.num_tokens(held.content) for held in cell.texts)
            if chosen and num_tokens + cost > limit:
                break
            chosen.append(cell)
            num_tokens += cost
    return chosen


def measure(
    model: Decoder,
    weights: Mapping[str, Tensor],
    cells: Sequence[Cell],
    held_out: HeldOut,
    surprise: Surprise,
) -> list[Measured]:
    """Each cell under `weights` (by name; what is missing is the model's own)."""
    with wearing(model, weights):
        nats = iter(surprise.nats(model, [held.content for cell in cells for held in cell.texts]))
    return [
        Measured(
            cell.source,
            cell.bucket,
            cell.bucket == held_out.eras[cell.source].now,
            cell.num_bytes,
            [next(nats) for _ in cell.texts],
        )
        for cell in cells
    ]


def mean_bits_per_byte(measured: Sequence[Measured]) -> float | None:
    """Over all bytes; None without any."""
    num_bytes = sum(one.num_bytes for one in measured)
    if num_bytes == 0:
        return None
    return sum(sum(one.nats) for one in measured) / math.log(2) / num_bytes


class Facts(msgspec.Struct, kw_only=True):
    matrix: RetentionMatrix
    allowance: Allowance = msgspec.field(default_factory=Allowance)
    num_evaluations: int = 0


class Retention(Watch):
    """budget: tokens of one evaluation; share: of the training's cost."""

    def __init__(
        self, held_out: HeldOut, surprise: Surprise, ngram: Ngram, budget: int, share: float
    ) -> None:
        self._held_out = held_out
        self._surprise = surprise
        self._ngram = ngram
        self._budget = budget
        self._share = share
        self.facts = Facts(matrix=RetentionMatrix())
        self._matrix_shown: dict[str, float] | None = None
        """Made anew after an evaluation only: a long run has thousands of cells."""

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        pass

    def after_update(self, state: "State", lesson: "Lesson", report: "StepReport") -> list[Finding]:  # noqa: ARG002
        facts = self.facts
        facts.allowance.earn(sum(report.num_tokens.values()), self._share)
        # A token is at least about a byte, so this is no less than the cost.
        dearest = min(self._budget, self._held_out.size_bytes) * FORWARD
        facts.allowance.cap(self._budget * FORWARD)
        if not report.is_finite or dearest == 0 or not facts.allowance.spend(dearest):
            return []
        cells = choose(self._held_out, self._surprise, self._budget)
        weights = state.served()
        measured = measure(state.model, weights, cells, self._held_out, self._surprise)
        self._record(cells, measured, report.step)
        return []

    def _record(self, cells: Sequence[Cell], measured: Sequence[Measured], step: int) -> None:
        matrix, eras = self.facts.matrix, self._held_out.eras
        self._matrix_shown = None
        self.facts.num_evaluations += 1
        matrix.tables = {source: matrix.tables.get(source) or Table() for source in eras}
        for source, table in matrix.tables.items():
            table.widen(eras[source].level)
            table.keep_only(set(self._held_out.buckets(source)))
        for cell, found in zip(cells, measured, strict=True):
            if not math.isfinite(found.bits_per_byte):
                continue
            table = matrix.tables[cell.source]
            table.level = eras[cell.source].level
            if found.is_newest and cell.measured_at == 0:
                bits = sum(self._ngram.bits(told(held.content).encode()) for held in cell.texts)
                table.first[cell.bucket] = (found.bits_per_byte, bits / cell.num_bytes)
            table.record(eras[cell.source].now, cell.bucket, found.bits_per_byte)
            note(cell, found.nats)
            cell.measured_at = step
            self._held_out.measured(cell)

    def readings(self) -> Readings:
        """Forgetting is of older buckets; the newest is still being learned."""
        bits: dict[str, list[float]] = {}
        forgotten: dict[str, list[float]] = {}
        for cell in self._held_out.cells():
            if cell.measured_at == 0:
                continue
            is_newest = cell.bucket == self._held_out.eras[cell.source].now
            label = f"{cell.source}{LABEL_SEPARATOR}{'newest' if is_newest else 'older'}"
            known = [held for held in cell.texts if held.nats is not None]
            if not known:
                continue
            nats = sum(held.nats or 0.0 for held in known)
            bits.setdefault(label, []).append(_bits(nats, known))
            if not is_newest:
                forgotten.setdefault(cell.source, []).append(forgetting(cell))
        found: Readings = {}
        if bits:
            found["held_out_bits_per_byte"] = {label: fmean(x) for label, x in bits.items()}
        if forgotten:
            found["forgetting"] = {source: fmean(x) for source, x in forgotten.items()}
            found["forgetting_mean"] = {"": fmean(x for xs in forgotten.values() for x in xs)}
        for name in ("backward_transfer", "forward_transfer"):
            value = getattr(self.facts.matrix, name)()
            if value is not None:
                found[name] = {"": value}
        if self._matrix_shown is None:
            self._matrix_shown = {
                LABEL_SEPARATOR.join((source, str(i), str(j))): bits
                for source, i, j, bits in self.facts.matrix.cells()
            }
        if self._matrix_shown:
            found["retention_bits_per_byte"] = self._matrix_shown
        return found

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self.facts))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        self.facts = msgspec.json.decode(snapshots[-1].facts, type=Facts)
        self._matrix_shown = None


def note(cell: Cell, nats: Sequence[float]) -> None:
    """The texts' new losses; the best is the evaluation that was best over the texts of before."""
    for held, nats_of_one in zip(cell.texts, nats, strict=True):
        held.nats = nats_of_one
    known = [held for held in cell.texts if held.best is not None]
    is_best = sum((held.nats or 0.0) - (held.best or 0.0) for held in known) < 0
    for held in cell.texts:
        if is_best or held.best is None:
            held.best = held.nats


def forgetting(cell: Cell) -> float:
    """Bits a byte now minus at best, at least 0; 0 before the first measurement."""
    known = [held for held in cell.texts if held.nats is not None and held.best is not None]
    if not known:
        return 0.0
    return _bits(sum((held.nats or 0.0) - (held.best or 0.0) for held in known), known)


def _bits(nats: float, texts: Sequence[Held]) -> float:
    num_bytes = sum(held.num_bytes for held in texts)
    return nats / math.log(2) / num_bytes
