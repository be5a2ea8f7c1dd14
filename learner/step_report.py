"""What one step did, for whoever writes it down, shows it or judges by it. Made by `step.py`."""

import math
from collections import Counter

import msgspec

from learner.lesson import Work
from learner.rehearsal import Retired
from learner.watch.non_finite import Skipped
from learner.watch.protocol import Finding, Readings


class StepReport(msgspec.Struct, kw_only=True):
    """What one step did. Losses are in nats a token, taken before the update.

    num_tokens: predicted ones by part. num_documents: by source. retired: due no more, by reason.
    loss: NaN when all documents were held out, and nothing was trained on.
    num_held_out, num_diverted (into quarantine): by source.
    skipped: whom to blame, when the step was not finite.
    readings: what the watches have just measured, by metric and label.
    """

    step: int
    work: Work
    loss: float
    rate: float
    gradient_norm: float
    is_finite: bool
    num_tokens: Counter[str]
    num_documents: Counter[str]
    retired: Counter[Retired]
    prequential_loss: float | None = None
    bits_per_byte: float | None = None
    origin_divergence: float | None = None
    findings: list[Finding] = []
    num_held_out: Counter[str] = Counter()
    num_diverted: Counter[str] = Counter()
    skipped: Skipped | None = None
    readings: Readings = {}
    watch_seconds: float = 0.0

    def metrics(self) -> dict[str, float]:
        """By metric name, for the manifest."""
        named = {
            "loss": self.loss,
            "gradient_norm": self.gradient_norm,
            "rate": self.rate,
            "prequential_loss": self.prequential_loss,
            "prequential_bits_per_byte": self.bits_per_byte,
            "origin_divergence": self.origin_divergence,
        }
        return {n: v for n, v in named.items() if v is not None and math.isfinite(v)}
