"""Whether the learning itself is well: gradients, updates, units, rank, stalls.

    every update          the global gradient norm against its usual one: `exploding`
    every interval        each layer's gradient norm (`vanishing`) and update (`exploding`)
    as saved up           a look into the layers: `dead_units`, `rank_collapse`
    every stall window    `plateau`, `saddle`, `minimum` (see `stall.py`)

A finding is raised when its bound is crossed, and again only after it was well within the bound in
between. What costs a pass through the model is bounded by an allowance in trained tokens.

A part of the state. Called by `watchers.py`.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from torch import Tensor

from learner.content import Content
from learner.part import Snapshot
from learner.watch import probe, stall
from learner.watch.allowance import FORWARD, Allowance
from learner.watch.baseline import Baseline
from learner.watch.gradients import gradient_norms, layer_of, samples, update_ratios
from learner.watch.protocol import Finding, Readings, Watch
from learner.watch.surprise import Surprise
from riverrun.settings import WatchSettings

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State
    from learner.step_report import StepReport

KEPT = 0.95
"""Of the usual gradient norm (its logarithm) that one update leaves."""
SETTLED = 20
"""Updates before a norm can be unusual."""
STRIKES = 3
"""Looks in a row that a layer's gradient is too small before it is said."""
WELL = 0.8
"""How far within its bound a number has to come before it can be found again."""


class Facts(msgspec.Struct, kw_only=True):
    """usual: logarithm of the gradient norm. active: what was found and is not over; strikes: of
    layers. looked: whether the last look into the layers was paid for."""

    allowance: Allowance = msgspec.field(default_factory=Allowance)
    num_norms: int = 0
    usual: float = 0.0
    active: list[tuple[str, str]] = []
    strikes: dict[str, int] = {}
    course: stall.Course = msgspec.field(default_factory=stall.Course)
    readings: Readings = {}


class Health(Watch):
    def __init__(self, settings: WatchSettings, surprise: Surprise, baseline: Baseline) -> None:
        self._settings = settings
        self._surprise = surprise
        self._baseline = baseline
        self._norms: dict[str, float] = {}
        self._before: dict[str, Tensor] = {}
        self.facts = Facts()

    def before_update(self, state: "State", lesson: "Lesson") -> None:  # noqa: ARG002
        self._norms, self._before = {}, {}
        if state.progress.num_updates % self._settings.health_interval == 0:
            self._norms = gradient_norms(state.optimizer.parameters)
            self._before = samples(state.optimizer.parameters)

    def after_update(self, state: "State", lesson: "Lesson", report: "StepReport") -> list[Finding]:
        self.facts.allowance.earn(sum(report.num_tokens.values()), self._settings.probe_share)
        self.facts.allowance.cap(2 * probe.CURVATURE_COST)
        if not report.is_finite:
            return []
        findings = self._norm(report.gradient_norm)
        if self._norms:
            findings += self._layers(state)
        texts = [one.content for one in lesson.shown]
        findings += self._inside(state, texts)
        if report.bits_per_byte is not None:
            findings += self._stall(state, texts, report.bits_per_byte, report.gradient_norm)
        return findings

    def _norm(self, norm: float) -> list[Finding]:
        facts, factor = self.facts, self._settings.exploding_factor
        logarithm = math.log(max(norm, 1e-30))
        found: list[Finding] = []
        if facts.num_norms >= SETTLED:
            usual = math.exp(facts.usual)
            numbers = {"gradient_norm": norm, "usual": usual, "bound": factor * usual}
            found = self._cross("exploding", "gradient", norm, factor * usual, numbers)
            # One spike must not become usual at once.
            logarithm = min(logarithm, facts.usual + math.log(factor))
        kept = min(KEPT, facts.num_norms / (facts.num_norms + 1))
        facts.usual = kept * facts.usual + (1 - kept) * logarithm
        facts.num_norms += 1
        return found

    def _layers(self, state: "State") -> list[Finding]:
        facts, settings = self.facts, self._settings
        parameters = state.optimizer.parameters
        ratios = update_ratios(self._before, parameters)
        facts.readings["layer_gradient_norm"] = dict(self._norms)
        facts.readings["update_ratio"] = ratios
        found: list[Finding] = []
        for layer, ratio in ratios.items():
            most = settings.update_ratio_most
            numbers = {"update_ratio": ratio, "bound": most}
            found += self._cross("exploding", layer, ratio, most, numbers)
        sizes: dict[str, int] = {}
        for name, parameter in parameters.items():
            sizes[layer_of(name)] = sizes.get(layer_of(name), 0) + parameter.numel()
        squares = {
            layer: norm / sizes[layer] ** 0.5
            for layer, norm in self._norms.items()
            if layer.startswith("layers.")
        }
        strongest = max(squares.values(), default=0.0)
        for layer, size in squares.items():
            bound = settings.vanishing_ratio * strongest
            is_small = size < bound or strongest == 0.0
            facts.strikes[layer] = facts.strikes.get(layer, 0) + 1 if is_small else 0
            numbers = {"gradient_rms": size, "strongest": strongest, "bound": bound}
            has_vanished = facts.strikes[layer] >= STRIKES
            found += self._cross("vanishing", layer, float(has_vanished), 0.5, numbers)
        return found

    def _inside(self, state: "State", texts: Sequence[Content]) -> list[Finding]:
        facts, settings = self.facts, self._settings
        is_due = state.progress.num_updates % settings.health_interval == 0
        if not is_due or not facts.allowance.spend(probe.TOKENS * FORWARD):
            return []
        seen = probe.look_into_layers(state, self._surprise, texts)
        if seen is None:
            return []
        facts.readings["dead_units"] = seen.dead_units
        facts.readings["effective_rank"] = seen.effective_rank
        found: list[Finding] = []
        for layer, dead in seen.dead_units.items():
            most = settings.dead_units_most
            numbers = {"dead_units": dead, "bound": most}
            found += self._cross("dead_units", layer, dead, most, numbers)
        for layer, rank in seen.effective_rank.items():
            least = settings.rank_least
            numbers = {"effective_rank": rank, "bound": least}
            found += self._cross("rank_collapse", layer, -rank, -least, numbers)
        return found

    def _stall(
        self, state: "State", texts: Sequence[Content], loss: float, norm: float
    ) -> list[Finding]:
        def curvature() -> tuple[float, float] | None:
            if not self.facts.allowance.spend(probe.CURVATURE_COST):
                return None
            ends = probe.curvature(state, self._surprise, texts)
            if ends is not None:
                self.facts.readings["curvature"] = {"lowest": ends[0], "highest": ends[1]}
            return ends

        course, window = self.facts.course, self._settings.stall_window
        baseline = self._baseline.facts.average
        found = stall.look(course, window, loss, norm, baseline, curvature)
        return [Finding(kind=found.kind, subject="loss", numbers=found.numbers)] if found else []

    def _cross(
        self, kind: str, subject: str, value: float, bound: float, numbers: dict[str, float]
    ) -> list[Finding]:
        """A finding when `value` comes to lie above `bound`; none while it stays there."""
        active, key = self.facts.active, (kind, subject)
        if value > bound:
            if key in active:
                return []
            active.append(key)
            return [Finding(kind=kind, subject=subject, numbers=numbers)]
        if key in active and value <= (WELL * bound if bound > 0 else bound / WELL):
            active.remove(key)
        return []

    def readings(self) -> Readings:
        return self.facts.readings

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self.facts))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        self.facts = msgspec.json.decode(snapshots[-1].facts, type=Facts)
