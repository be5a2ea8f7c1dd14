"""What the learner tells."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from riverrun.metrics.buckets import LATENCY_S

MAX_SOURCES = 256
"""Series by source; Prometheus keeps each one that it ever saw."""
OTHER = "other"


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
        self.decisions = Counter(
            "riverrun_learner_decisions",
            "What the gate decided: `promote`, `hold`, `roll_back`, `lower_rate`, `quarantine`, …",
            ["action"],
            registry=registry,
        )
        self.rolled_back_documents = Counter(
            "riverrun_learner_rolled_back_documents",
            "Documents learned since the version that was gone back to; what is left out of them "
            "is in the manifests.",
            registry=registry,
        )
        self.judging_share = Gauge(
            "riverrun_learner_judging_share",
            "Of the learner's time since its start, what judging took.",
            registry=registry,
        )
        self.judging_seconds = Counter(
            "riverrun_learner_judging_seconds", "Time that judging took.", registry=registry
        )
        self.held_out_ratio = Gauge(
            "riverrun_learner_held_out_ratio",
            "Held-out loss of the last candidate over the best promoted version's, same texts.",
            registry=registry,
        )
        self.control_ratio = Gauge(
            "riverrun_learner_control_ratio",
            "Perplexity of control text under the last candidate over the untouched model's.",
            registry=registry,
        )
        self.general_share = Gauge(
            "riverrun_learner_general_share",
            "Knowledge probes passed over those that the untouched model passed.",
            registry=registry,
        )
        self.budget_used = Gauge(
            "riverrun_learner_budget_used",
            "Of the loss of old knowledge that the operator allows, what is used.",
            registry=registry,
        )
        self.probe_share = Gauge(
            "riverrun_learner_probe_share",
            "Of a probe group's tasks, those that were passed last.",
            ["group"],
            registry=registry,
        )
        self.probes_skipped = Counter(
            "riverrun_learner_probes_skipped",
            "Probe groups not run when they were due: no `time`, or `scratch` models know nothing.",
            ["group", "why"],
            registry=registry,
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
            "Time that learning stood still for one checkpoint, to copy what is written.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self.checkpoint_bytes = Gauge(
            "riverrun_learner_checkpoint_bytes",
            "Bytes that the last checkpoint added; what did not change is linked.",
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
        self.watch(registry)

    def source(self, name: str) -> str:
        """The label of a source: its name, or `other` when there are too many for a series each."""
        if name not in self._sources and len(self._sources) >= MAX_SOURCES:
            return OTHER
        self._sources.add(name)
        return name

    def watch(self, registry: CollectorRegistry) -> None:
        """What `learner/watch` measures: health, held-out text and forgetting, drift."""
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
