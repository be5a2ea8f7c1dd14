"""The gate beside a class: after each pass what would be served is judged as the learner's is.

The rules, the knowledge budget, the probes and the judging time are the defaults of the settings. A
decision is journaled and carried out, so it slows learning, or stops rehearsal, as it does in the
learner. Without checkpoints there is nothing to go back to: a roll back holds the version, and what
it decided of rate and sources is done.

Called by `classroom.py`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry
from torch import Tensor

from learner.assembly import Assembly
from learner.content import Content
from learner.entries import Decided
from learner.gate.decisions import carry_out
from learner.gate.gate import Gate
from learner.gate.reference import Reference
from learner.gate.setup import examiner_of
from learner.journal import Journal
from learner.publish import PUBLISH_DTYPES
from learner.recipe import Kind
from learner.step_report import StepReport
from learner.watch.surprise import Surprise
from riverrun.metrics import LearnerMetrics
from riverrun.settings import Settings


class Gatekeeper:
    """served: the weights of the newest version that was promoted, float32; at first the
    untouched model's."""

    def __init__(
        self, kind: Kind, assembly: Assembly, journal: Journal, directory: Path, settings: Settings
    ) -> None:
        """While the model is untouched. directory: where its probe scores are kept."""
        self._state = assembly.state
        self._journal = journal
        examiner = examiner_of(settings, kind, assembly, LearnerMetrics(CollectorRegistry()))
        examiner.prepare(directory, self._state.model)
        reference = Reference(PUBLISH_DTYPES[assembly.recipe.publish_dtype])
        reference.become(self._state.served(), {})
        surprise = Surprise(assembly.framing, assembly.recipe)
        self._gate = Gate(settings.gate, surprise, reference, [examiner])
        self.served = self._copy()
        self.decisions: list[Decided] = []

    def see(self, report: StepReport, texts: Sequence[Content]) -> None:
        self._gate.see(self._state, report, texts)

    def judge(self, occasion: str) -> Decided:
        """One version: whether it is served, and what follows for learning."""
        decided = self._gate.decide(self._state, occasion)
        self._journal.append(decided)
        carry_out(self._state, decided)
        if decided.verdict == "promote":
            self._gate.took_over(self._state, decided)
            self.served = self._copy()
        self.decisions.append(decided)
        return decided

    def _copy(self) -> Mapping[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self._state.served().items()}
