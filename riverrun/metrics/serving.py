"""What serving tells."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from riverrun.metrics.buckets import FRESHNESS_S, LATENCY_S


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
            "Time from a call's arrival to its last message.",
            ["method"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.answer_seconds = Histogram(
            "riverrun_serving_answer_seconds",
            "Time of calls that weights answered, by the age of these (live, previous, "
            "older) and gRPC code.",
            ["version", "code"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "riverrun_serving_queue_seconds",
            "Time that an answer, a text to score or embed, or the weighing of a prompt waited for "
            "a row, whether it got one or was ended before.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "riverrun_serving_first_token_seconds",
            "Time from a request's arrival to the first token, also what it waited for a version "
            "and for a row, by the age of the version that gave it.",
            ["version"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.between_tokens_seconds = Histogram(
            "riverrun_serving_between_tokens_seconds",
            "Time between two tokens of a row, by the age of the version that gave them.",
            ["version"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.tokens = Counter(
            "riverrun_serving_tokens",
            "Tokens run; kind is `prompt`, `generated` or `recomputed` (FOLLOW, at a swap).",
            ["kind"],
            registry=registry,
        )
        self.prefix_tokens = Counter(
            "riverrun_serving_prefix_tokens",
            "Prompt tokens that were not run, since a row held their keys, of the same weights.",
            registry=registry,
        )
        self.answered_by = Counter(
            "riverrun_serving_answered_by",
            "Requests to versions that defer, by whose weights answer: `learned` or `origin`.",
            ["weights"],
            registry=registry,
        )
        self.rows = Gauge("riverrun_serving_rows", "Requests decoding now.", registry=registry)
        self.waiting = Gauge(
            "riverrun_serving_waiting", "Requests waiting for a row.", registry=registry
        )
        self.version_waits = Gauge(
            "riverrun_serving_version_waits",
            "Requests waiting for a version or an offset; they hold no row.",
            registry=registry,
        )
        self.ended_early = Counter(
            "riverrun_serving_ended_early",
            "Answers that serving ended; reason is `pin_expired` (old weights, serving.max_pin_s) "
            "or `slow_reader`.",
            ["reason"],
            registry=registry,
        )
        self.swaps = Counter(
            "riverrun_serving_swaps", "Versions taken into service.", registry=registry
        )
        self.refused_versions = Counter(
            "riverrun_serving_refused_versions",
            "Versions that failed hash, names, shapes or finiteness; the old one stays.",
            registry=registry,
        )
        self.store_faults = Counter(
            "riverrun_serving_store_faults",
            "Attempts to find or to load a version that failed because the store could not be "
            "read; tried again every second.",
            registry=registry,
        )
        self.reloads = Counter(
            "riverrun_serving_reloads",
            "Changed files of `tokens` or of the `certificate`: taken (`done`), or wrong and "
            "left (`failed`).",
            ["what", "outcome"],
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
