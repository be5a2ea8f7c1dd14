"""What happened since the last judged version: findings, skipped steps, sources, the newest text.

Told of each step by `loop.py`; read, and begun anew, by `gate.py`.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from learner.content import Content
from learner.gate.blame import NAMING, NEW, RATE
from learner.state import State
from learner.step_report import StepReport

NEW_DOCUMENTS = 32
"""Of a source that has just come."""
NUM_TEXTS = 8
"""The newest ones, of this version or others."""


class Since:
    """See the module. forgetting, bits_per_byte: as last told, by any step."""

    def __init__(self) -> None:
        self.findings: Counter[str] = Counter()
        self.num_non_finite = 0
        self.blamed: dict[str, str] = {}
        self.came: dict[str, int] = {}
        self.texts: deque[Content] = deque(maxlen=NUM_TEXTS)
        self.forgetting: float | None = None
        self.bits_per_byte: float | None = None

    def see(self, state: State, report: StepReport, texts: Sequence[Content]) -> None:
        self.texts.extend(texts)
        for source, num in report.num_documents.items():
            if report.work == "new" and is_new(state, source, num):
                self.blamed.setdefault(source, NEW)
                self.came.setdefault(source, report.step)
        for finding in report.findings:
            self.findings[finding.kind] += 1
            if finding.kind in NAMING and finding.subject in report.num_documents:
                self.blamed[finding.subject] = finding.kind
            elif finding.kind == RATE:
                self.blamed.setdefault(finding.subject, RATE)
        self.num_non_finite += not report.is_finite
        if report.bits_per_byte is not None:
            self.bits_per_byte = report.bits_per_byte
        for forgetting in report.readings.get("forgetting_mean", {}).values():
            self.forgetting = forgetting

    def numbers(self) -> dict[str, float]:
        """For the rules."""
        found = {f"findings.{kind}": float(num) for kind, num in self.findings.items()}
        found["non_finite"] = float(self.num_non_finite)
        if self.forgetting is not None:
            found["forgetting"] = self.forgetting
        if self.bits_per_byte is not None and abs(self.bits_per_byte) < float("inf"):
            found["prequential_bits_per_byte"] = self.bits_per_byte
        return found

    def begin_anew(self) -> None:
        self.findings = Counter()
        self.num_non_finite = 0
        self.blamed = {}
        self.came = {}


def is_new(state: State, source: str, num_last: int = 0) -> bool:
    """Whether `source` came lately, among others that did not. num_last: its documents in the last
    step."""
    counted = state.held_out.num_counted(source)
    return counted <= max(NEW_DOCUMENTS, num_last) and state.held_out.most_counted > NEW_DOCUMENTS


def still_new(state: State, blamed: Mapping[str, str]) -> dict[str, str]:
    """Of `blamed`, what outlives a version that is the best: sources that have just come."""
    return {s: NEW for s, kind in blamed.items() if kind == NEW and is_new(state, s)}
