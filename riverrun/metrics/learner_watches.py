"""What the learner's watches measure: health, held-out text and forgetting, drift."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from riverrun.metrics.buckets import LATENCY_S


class WatchMetrics:
    """`learner/watch`. readings: what stands in the gauges now, by their names here and labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.readings: dict[str, dict[str, float]] = {}

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"riverrun_learner_{name}", about, labels, registry=registry)

        self.findings = Counter(
            "riverrun_learner_findings",
            "What the watches noticed: `vanishing`, `exploding`, `plateau`, `saddle`, `drift`, …",
            ["kind"],
            registry=registry,
        )
        self.non_finite_documents = Counter(
            "riverrun_learner_non_finite_documents",
            "Documents of skipped steps; cause is `documents`, `gradient` or `weights`.",
            ["cause"],
            registry=registry,
        )
        self.held_out_documents = Counter(
            "riverrun_learner_held_out_documents",
            "Documents kept apart and never trained on.",
            ["source"],
            registry=registry,
        )
        self.held_out_texts = gauge("held_out_texts", "Held-out texts in the learner's state.")
        self.held_out_bytes = gauge("held_out_bytes", "Their bytes.")
        self.held_out_bits_per_byte = gauge(
            "held_out_bits_per_byte",
            "Loss of the served weights on held-out text; bucket is `newest` or `older`.",
            "source",
            "bucket",
        )
        self.forgetting = gauge(
            "forgetting",
            "Held-out bits a byte now minus the best ever, mean over a source's older buckets.",
            "source",
        )
        self.forgetting_mean = gauge("forgetting_mean", "The same over all sources.")
        self.retention_bits_per_byte = gauge(
            "retention_bits_per_byte",
            "R[i,j]: loss on the held-out text of time bucket j (`bucket`) at the end of bucket i "
            "(`after`), of a source.",
            "source",
            "after",
            "bucket",
        )
        self.backward_transfer = gauge(
            "backward_transfer",
            "Bits a byte by which older buckets are better now than just after they were learned.",
        )
        self.forward_transfer = gauge(
            "forward_transfer",
            "Bits a byte by which a bucket was better than the n-gram baseline before it was "
            "learned.",
        )
        self.near_future_bits_per_byte = gauge(
            "near_future_bits_per_byte",
            "Loss of new text under weights that learned nothing of the documents just before it.",
        )
        self.near_future_gap = gauge(
            "near_future_gap", "Documents between those weights and that text."
        )
        self.ngram_bits_per_byte = gauge(
            "ngram_bits_per_byte",
            "Prequential loss of the blind byte n-gram baseline on the last step's new text.",
        )
        self.layer_gradient_norm = gauge(
            "layer_gradient_norm", "Gradient norm of a layer before clipping.", "layer"
        )
        self.update_ratio = gauge(
            "update_ratio", "Norm of a layer's update over the norm of its weights.", "layer"
        )
        self.dead_units = gauge(
            "dead_units", "Share of a layer's SwiGLU units that do nothing on recent text.", "layer"
        )
        self.effective_rank = gauge(
            "effective_rank",
            "Of a layer's hidden states, as a share of their width or number.",
            "layer",
        )
        self.curvature = gauge(
            "curvature",
            "Of the loss, where a stall was looked into: `lowest` and `highest` seen.",
            "end",
        )
        self.drift_state = gauge(
            "drift_state", "Of a source: 0 stable, 1 warning, 2 drift.", "source"
        )
        self.drift_residual = gauge(
            "drift_residual",
            "Surprise of the frozen reference, in deviations from what it was at first.",
            "source",
        )
        self.watch_seconds = Histogram(
            "riverrun_learner_watch_seconds",
            "Time that the watches took of one step.",
            buckets=LATENCY_S,
            registry=registry,
        )
