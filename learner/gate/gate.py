"""The gate: one candidate, its numbers, and the decision on it by the declared rules.

    see       each step's report
    affords   whether a candidate can be judged within the judging time now
    decide    the decision on the weights that would be served; it is history once journaled
    took_over the candidate was promoted: it may be what later ones are held against

Without evidence (no held-out text yet, nothing measured) nothing speaks against a version, and it
is promoted; the decision says so.

Knows nothing of the store's files, Kafka or the journal. Called by `loop.py`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from learner.actions import Action
from learner.content import Content
from learner.entries import Ability, Decided
from learner.gate.blame import sources_to_blame
from learner.gate.budget import budget_used
from learner.gate.judge import broken_weights, held_out_losses
from learner.gate.newest import Newest
from learner.gate.panel import head_of, panel
from learner.gate.purse import Purse
from learner.gate.reference import Reference
from learner.gate.rules import rules_of, verdict
from learner.gate.since import Since, still_new
from learner.state import State
from learner.step_report import StepReport
from learner.watch.surprise import Surprise
from riverrun.settings import GateSettings

STICKY = (
    *("share.", "kept.", "lost.", "general_share", "general_tasks"),
    *("control_ratio", "learned_control_ratio"),
)
"""Numbers that are not measured for each version; what was measured last still holds."""


class Examined(NamedTuple):
    numbers: dict[str, float]
    abilities: dict[str, Ability]


class Examiner(Protocol):
    """More that is measured of a candidate, as far as the purse allows (`probes/`).

    always: units by kind of work, of what is measured whether it is paid for or not.
    """

    always: Mapping[str, float]

    def examine(self, state: State, weights: Mapping[str, Tensor], purse: Purse) -> Examined: ...


class Gate:
    """See the module. Raises InvalidValue for a rule that cannot be read."""

    def __init__(
        self,
        settings: GateSettings,
        surprise: Surprise,
        reference: Reference,
        examiners: Sequence[Examiner] = (),
    ) -> None:
        self._settings = settings
        self._surprise = surprise
        self._reference = reference
        self._examiners = examiners
        self._rules = rules_of([*settings.rules, *settings.more_rules])
        self._since = Since()
        self._newest = Newest()
        self._nats: dict[Content, float] = {}
        self._abilities: dict[str, Ability] = {}
        self._least_tokens = 0
        self.purse = Purse(settings.judging_share)
        self._beside_panel = {"copy": 1.0}
        for examiner in examiners:
            self._beside_panel.update(examiner.always)

    def see(self, state: State, report: StepReport, texts: Sequence[Content] = ()) -> None:
        """texts: new ones that the step was done on."""
        self._since.see(state, report, texts)

    def affords(self) -> bool:
        """False when the candidate has to wait a little; it costs nothing to ask."""
        return not self._rules or self.purse.affords(
            {"panel": self._least_tokens, "broken": 1, **self._beside_panel}
        )

    def decide(self, state: State, occasion: str) -> Decided:
        """Judge what would be served now. occasion: why a version is made, in words."""
        weights = state.served()
        numbers = self._numbers(state, weights)
        facts = state.gate.facts
        blamed = facts.blamed | self._since.blamed
        sources = sources_to_blame(blamed, facts.best_step)
        found = verdict(self._rules, numbers, facts.streaks, sources)
        is_promoted = found.kind == "promote"
        is_best = is_promoted and numbers.get("worst_ratio", 1.0) <= 1.0
        is_best = is_best and numbers.get("learned_ratio", 1.0) <= 1.0
        came = self._since.came | facts.came
        if is_best:
            blamed = still_new(state, blamed)
            came = {source: step for source, step in came.items() if source in blamed}
        self._since.begin_anew()
        return Decided(
            step=state.progress.step,
            actions=[Action(kind=found.kind), *found.actions],
            numbers={name: v for name, v in numbers.items() if math.isfinite(v)},
            reason=f"{occasion}: {'; '.join(found.reasons) or self._evidence(numbers)}",
            streaks=found.streaks,
            blamed=blamed,
            came=came,
            is_best=is_best,
            abilities=self._abilities,
        )

    def took_over(self, state: State, decided: Decided) -> None:
        """The version of `decided` is what serving uses."""
        if decided.is_best:
            weights = state.served()
            with self.purse.paying("copy"):
                self._reference.become(weights, self._nats)

    def _numbers(self, state: State, weights: Mapping[str, Tensor]) -> dict[str, float]:
        self._abilities = {}
        numbers = self._since.numbers()
        numbers["rate_factor"] = state.pace.tempo.factor
        numbers["held_versions"] = float(state.gate.facts.num_held)
        if not self._rules:
            return numbers
        with self.purse.paying("broken"):
            numbers["broken_weights"] = float(broken_weights(weights))
        self._nats = {}
        if numbers["broken_weights"]:
            return numbers
        self._on_held_out(state, weights, numbers)
        last = state.gate.facts.last
        if last is not None:
            numbers |= {n: v for n, v in last.numbers.items() if n.startswith(STICKY)}
        for examiner in self._examiners:
            found = examiner.examine(state, weights, self.purse)
            numbers |= found.numbers
            self._abilities |= found.abilities
        numbers["budget_used"] = budget_used(
            numbers, self._settings.max_control_ratio, self._settings.min_general_share
        )
        return numbers

    def _on_held_out(
        self, state: State, weights: Mapping[str, Tensor], numbers: dict[str, float]
    ) -> None:
        usual_s = self.purse.usual_s("panel")
        tokens, least = self._settings.panel_tokens, self._settings.least_texts
        if usual_s > 0:
            # One that is promoted is still to be copied, and there is more to measure.
            left_s = self.purse.saved_s - self.purse.cost_s(self._beside_panel)
            tokens = min(tokens, int(left_s / usual_s))
        # However little time there is, no fewer than are evidence: it is paid for afterwards.
        sheets = panel(state.held_out, self._surprise.num_tokens, tokens, least)
        if len(sheets) < least:
            self._on_learned(state, weights, numbers)
        if not sheets:
            return
        costs = [self._surprise.num_tokens(sheet.content) for sheet in sheets]
        self._least_tokens = sum(costs[:least])
        with self.purse.paying("panel", sum(costs)):
            found = held_out_losses(
                state.model,
                weights,
                sheets,
                self._surprise,
                self._reference,
                least,
            )
        numbers |= found.numbers
        self._nats |= found.nats

    def _on_learned(
        self, state: State, weights: Mapping[str, Tensor], numbers: dict[str, float]
    ) -> None:
        """Without enough held-out text: the newest that was learned stands in for it."""
        texts = list(dict.fromkeys(head_of(text) for text in self._since.texts if text))
        num_tokens = [self._surprise.num_tokens(text) for text in texts]
        with self.purse.paying("panel", 2 * sum(num_tokens)):
            found = self._newest.losses(
                state.model, weights, texts, self._surprise, self._reference
            )
        numbers |= found.numbers
        self._nats |= found.nats

    def _evidence(self, numbers: Mapping[str, float]) -> str:
        """Why it is promoted, when no rule spoke."""
        if not self._rules:
            return "there are no rules"
        ratio, num = numbers.get("held_out_ratio"), numbers.get("panel_texts", 0.0)
        if ratio is not None:
            return f"held-out loss {ratio:.4f} of the best, on {num:.0f} texts"
        if num < self._settings.least_texts:
            return f"too little held-out text to judge by ({num:.0f} texts)"
        return "no version to compare with"
