"""A step's report into the live series. Called by `loop.py`; computes nothing of its own."""

from collections import Counter

from learner.entries import Decided
from learner.gate.purse import Purse
from learner.state import State
from learner.step_report import StepReport
from learner.watch.protocol import LABEL_SEPARATOR, Readings
from riverrun.metrics import LearnerMetrics
from riverrun.metrics.learner_gate import GateMetrics
from riverrun.metrics.learner_watches import WatchMetrics


def observe_step(metrics: LearnerMetrics, report: StepReport, seconds: float) -> None:
    metrics.steps.labels(report.work).inc()
    metrics.step_seconds.labels(report.work).observe(seconds)
    if report.num_tokens:
        metrics.loss.labels(report.work).set(report.loss)
        metrics.gradient_norm.set(report.gradient_norm)
    metrics.rate.set(report.rate)
    if not report.is_finite:
        metrics.non_finite.inc()
    for part, num_tokens in report.num_tokens.items():
        metrics.tokens.labels(part).inc(num_tokens)
    for why, count in report.retired.items():
        metrics.due_retired.labels(why).inc(count)
    for source, count in report.num_held_out.items():
        metrics.watches.held_out_documents.labels(metrics.source(source)).inc(count)
    observe_diverted(metrics, report.num_diverted)
    if report.skipped is not None:
        metrics.watches.non_finite_documents.labels(report.skipped.cause).inc(
            len(report.skipped.documents)
        )
    for finding in report.findings:
        metrics.watches.findings.labels(finding.kind).inc()
    metrics.watches.watch_seconds.observe(report.watch_seconds)
    observe_readings(metrics.watches, report.readings)
    if report.work == "new":
        for source, count in report.num_documents.items():
            metrics.documents.labels(metrics.source(source)).inc(count)
    if report.prequential_loss is not None:
        metrics.prequential_loss.set(report.prequential_loss)
    if report.bits_per_byte is not None:
        metrics.prequential_bits_per_byte.set(report.bits_per_byte)
    if report.origin_divergence is not None:
        metrics.origin_divergence.set(report.origin_divergence)


def observe_decision(metrics: GateMetrics, decided: Decided, purse: Purse) -> None:
    for action in decided.actions:
        metrics.decisions.labels(action.kind).inc()
    metrics.judging_share.set(purse.spent_share())
    metrics.judging_seconds.inc(purse.newly_spent_s())
    for name in (
        *("held_out_ratio", "control_ratio", "learned_control_ratio"),
        *("general_share", "budget_used"),
    ):
        if name in decided.numbers:
            getattr(metrics, name).set(decided.numbers[name])
    for name, value in decided.numbers.items():
        if name.startswith("share."):
            metrics.probe_share.labels(name.removeprefix("share.")).set(value)


def observe_readings(metrics: WatchMetrics, readings: Readings) -> None:
    """What the watches measured. A label that is no longer told of leaves the series.

    What stands there already is left alone: most is measured every so many steps only, and a
    series costs 4 us each time that it is made anew.
    """
    for name, by_label in readings.items():
        before = metrics.readings.get(name, {})
        if by_label == before:
            continue
        metrics.readings[name] = dict(by_label)
        gauge = getattr(metrics, name)
        for label in before.keys() - by_label.keys() - {""}:
            gauge.remove(*label.split(LABEL_SEPARATOR))
        for label, value in by_label.items():
            series = gauge.labels(*label.split(LABEL_SEPARATOR)) if label else gauge
            series.set(value)


def observe_diverted(metrics: LearnerMetrics, num_documents: Counter[str]) -> None:
    """Into quarantine, by source."""
    for source, count in num_documents.items():
        metrics.quarantined_documents.labels(metrics.source(source)).inc(count)


def observe_state(metrics: LearnerMetrics, state: State) -> None:
    waiting: Counter[str] = Counter()
    for source, kept in state.quarantine.sources().items():
        waiting[metrics.source(source)] += kept.num_documents
    for label in metrics.quarantined_labels - waiting.keys():
        metrics.quarantine_waiting.remove(label)
    for label, count in waiting.items():
        metrics.quarantine_waiting.labels(label).set(count)
    metrics.quarantined_labels = set(waiting)
    metrics.step.set(state.progress.step)
    metrics.gate.held_versions.set(state.gate.facts.num_held)
    metrics.memory_blocks.set(state.memory.num_held)
    metrics.due_documents.set(len(state.rehearsal))
    metrics.watches.held_out_texts.set(len(state.held_out))
    metrics.watches.held_out_bytes.set(state.held_out.num_bytes)
