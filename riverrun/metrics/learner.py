"""What the learner tells: of its steps, what it keeps, and what operators had it do."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from riverrun.metrics.buckets import LATENCY_S
from riverrun.metrics.learner_gate import GateMetrics
from riverrun.metrics.learner_watches import WatchMetrics

MAX_SOURCES = 256
"""Series by source; Prometheus keeps each one that it ever saw."""
OTHER = "other"


class LearnerMetrics:
    """The training loop's; `gate` and `watches` are parts of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.steps = Counter(
            "riverrun_learner_steps",
            "Optimizer steps; kind is `new` or `rehearsal`.",
            ["kind"],
            registry=registry,
        )
        self.step = Gauge(
            "riverrun_learner_step",
            "Optimizer steps of the whole run; a version names the step it is from.",
            registry=registry,
        )
        self.documents = Counter(
            "riverrun_learner_documents", "Documents learned from.", ["source"], registry=registry
        )
        self.dropped = Counter(
            "riverrun_learner_dropped",
            "Clean records not learned: `repeated` raw offsets, `bad_record`, `empty`, `undone`, "
            "or `expired` in quarantine.",
            ["reason"],
            registry=registry,
        )
        self.tokens = Counter(
            "riverrun_learner_tokens",
            "Tokens trained on; part is `new`, `rehearsal`, `memory` or `origin`.",
            ["part"],
            registry=registry,
        )
        self.prequential_loss = Gauge(
            "riverrun_learner_prequential_loss",
            "Loss of new text before learning from it, last step, nats a token.",
            registry=registry,
        )
        self.prequential_bits_per_byte = Gauge(
            "riverrun_learner_prequential_bits_per_byte",
            "The same in bits a byte, which compares across tokenizers.",
            registry=registry,
        )
        self.loss = Gauge(
            "riverrun_learner_loss",
            "Training loss of the last step; kind is `new` or `rehearsal`, nats a token.",
            ["kind"],
            registry=registry,
        )
        self.origin_divergence = Gauge(
            "riverrun_learner_origin_divergence",
            "KL from the origin to the model on origin texts, last step, nats a token.",
            registry=registry,
        )
        self.gradient_norm = Gauge(
            "riverrun_learner_gradient_norm", "Global norm before clipping.", registry=registry
        )
        self.rate = Gauge("riverrun_learner_rate", "Learning rate now.", registry=registry)
        self.non_finite = Counter(
            "riverrun_learner_non_finite_steps",
            "Steps skipped since loss or gradient was not finite.",
            registry=registry,
        )
        self.step_seconds = Histogram(
            "riverrun_learner_step_seconds",
            "Time of one step.",
            ["kind"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.memory_blocks = Gauge(
            "riverrun_learner_memory_blocks", "Blocks in the replay memory.", registry=registry
        )
        self.origin_texts = Gauge(
            "riverrun_learner_origin_texts", "Texts in the origin memory.", registry=registry
        )
        self.due_documents = Gauge(
            "riverrun_learner_due_documents", "Documents still to be rehearsed.", registry=registry
        )
        self.due_retired = Counter(
            "riverrun_learner_due_retired",
            "Documents no longer due: `known`, `passes` spent, `crowded` out, or no knowledge "
            "`budget` left.",
            ["why"],
            registry=registry,
        )
        self.starved_turns = Counter(
            "riverrun_learner_starved_turns",
            "Turns that hardly had a core, since others took all; then learning yields less.",
            registry=registry,
        )
        self.oldest_seconds = Gauge(
            "riverrun_learner_oldest_unlearned_seconds",
            "Since Kafka took the oldest raw record that is clean and not learned; 0 when all are.",
            registry=registry,
        )
        self.lag = Gauge(
            "riverrun_learner_lag",
            "Clean records not yet learned.",
            ["partition"],
            registry=registry,
        )
        self.versions = Counter(
            "riverrun_learner_versions", "Versions by decision.", ["kind"], registry=registry
        )
        self.publish_seconds = Histogram(
            "riverrun_learner_publish_seconds",
            "Time to write one version.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.checkpoint_seconds = Histogram(
            "riverrun_learner_checkpoint_seconds",
            "Time to write one checkpoint, beside learning.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.checkpoint_wait_seconds = Histogram(
            "riverrun_learner_checkpoint_wait_seconds",
            "Time that learning stood still for one checkpoint: to sync the journal, and to copy.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.checkpoint_bytes = Gauge(
            "riverrun_learner_checkpoint_bytes",
            "Bytes that the last checkpoint wrote anew; what did not change is linked or copied.",
            registry=registry,
        )
        self.lease_term = Gauge(
            "riverrun_learner_lease_term",
            "Term of the lease; each learner that takes over has a higher one.",
            registry=registry,
        )
        self.replayed_steps = Counter(
            "riverrun_learner_replayed_steps",
            "Steps done again from the journal after a restart.",
            registry=registry,
        )
        self.quarantined_documents = Counter(
            "riverrun_learner_quarantined_documents",
            "Documents that were diverted since their source is in quarantine.",
            ["source"],
            registry=registry,
        )
        self.quarantine_waiting = Gauge(
            "riverrun_learner_quarantine_waiting_documents",
            "Documents that are kept in quarantine, or released and not yet learned.",
            ["source"],
            registry=registry,
        )
        self.quarantined_labels: set[str] = set()
        self.held = Gauge(
            "riverrun_learner_held", "1 while an operator holds promotion.", registry=registry
        )
        self.paused = Gauge(
            "riverrun_learner_paused", "1 while an operator pauses learning.", registry=registry
        )
        self.commands = Counter(
            "riverrun_learner_commands",
            "Operators' commands; outcome is the kind of the answer.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._sources: set[str] = set()
        self.gate = GateMetrics(registry)
        self.watches = WatchMetrics(registry)

    def source(self, name: str) -> str:
        """The label of a source: its name, or `other` when there are too many for a series each."""
        if name not in self._sources and len(self._sources) >= MAX_SOURCES:
            return OTHER
        self._sources.add(name)
        return name
