"""What the learner tells."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from riverrun.metrics.buckets import LATENCY_S


class LearnerMetrics:
    """The training loop."""

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
            "Clean records not learned: `repeated` raw offsets, `bad_record`, `empty`.",
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
            "Documents no longer due: `known`, `passes` spent, or `crowded` out.",
            ["why"],
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
            "Time to write one checkpoint.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.replayed_steps = Counter(
            "riverrun_learner_replayed_steps",
            "Steps done again from the journal after a restart.",
            registry=registry,
        )
