"""Every metric of every process, declared here and nowhere else.

A process makes its own class with its own registry, so that /metrics shows what it can know.
`deploy/` has the Prometheus and Grafana files; a test runs each of their expressions.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
FRESHNESS_S = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class SupervisorMetrics:
    """`riverrun up`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge(
            "riverrun_process_up", "1 while the process is ready.", ["process"], registry=registry
        )
        self.restarts = Counter(
            "riverrun_process_restarts", "Restarts after a crash.", ["process"], registry=registry
        )


class BrokerMetrics:
    """The process around the embedded broker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge("riverrun_broker_up", "1 while Kafka answers.", registry=registry)
        self.end_offset = Gauge(
            "riverrun_broker_end_offset",
            "Next offset to be written.",
            ["topic", "partition"],
            registry=registry,
        )
        self.resident_bytes = Gauge(
            "riverrun_broker_resident_bytes", "Memory of the Java process.", registry=registry
        )


class StreamMetrics:
    """Raw text to clean documents."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "riverrun_stream_records", "Raw records read.", ["partition"], registry=registry
        )
        self.documents = Counter(
            "riverrun_stream_documents", "Clean documents written.", ["source"], registry=registry
        )
        self.rejections = Counter(
            "riverrun_stream_rejections", "Dead letters written.", ["reason"], registry=registry
        )
        self.text_bytes = Counter(
            "riverrun_stream_text_bytes", "UTF-8 bytes of clean text written.", registry=registry
        )
        self.clean_seconds = Histogram(
            "riverrun_stream_clean_seconds",
            "Time to clean one record.",
            buckets=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
            registry=registry,
        )
        self.position = Gauge(
            "riverrun_stream_position",
            "Raw offset cleaned last, plus one.",
            ["partition"],
            registry=registry,
        )


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


class ServingMetrics:
    """gRPC out."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "riverrun_serving_requests",
            "Requests ended, by method and gRPC code.",
            ["method", "code"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "riverrun_serving_request_seconds",
            "Time from admission to the last message.",
            ["method"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "riverrun_serving_first_token_seconds",
            "Time from admission to the first token.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.between_tokens_seconds = Histogram(
            "riverrun_serving_between_tokens_seconds",
            "Time between two tokens of a row.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.tokens = Counter(
            "riverrun_serving_tokens",
            "Tokens run; kind is `prompt` or `generated`.",
            ["kind"],
            registry=registry,
        )
        self.rows = Gauge("riverrun_serving_rows", "Requests decoding now.", registry=registry)
        self.waiting = Gauge(
            "riverrun_serving_waiting", "Requests waiting for a row.", registry=registry
        )
        self.swaps = Counter(
            "riverrun_serving_swaps", "Versions taken into service.", registry=registry
        )
        self.refused_versions = Counter(
            "riverrun_serving_refused_versions",
            "Versions that failed hash, names, shapes or finiteness; the old one stays.",
            registry=registry,
        )
        self.load_seconds = Histogram(
            "riverrun_serving_load_seconds",
            "Time to load and verify one version, off the engine's thread.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.version_step = Gauge(
            "riverrun_serving_version_step", "Step of the version that is live.", registry=registry
        )
        self.freshness_seconds = Histogram(
            "riverrun_serving_freshness_seconds",
            "From a record's arrival in Kafka to its version being served; newest record of each "
            "version.",
            buckets=FRESHNESS_S,
            registry=registry,
        )
