"""What the learner tells of judging its versions: decisions, what they rest on, what they cost."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class GateMetrics:
    """`learner/gate` and `learner/probes`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "riverrun_learner_decisions",
            "What the gate decided: `promote`, `hold`, `roll_back`, `lower_rate`, `quarantine`, …",
            ["action"],
            registry=registry,
        )
        self.held_versions = Gauge(
            "riverrun_learner_held_versions",
            "Versions in a row that the gate did not promote, up to the newest one.",
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
        self.learned_control_ratio = Gauge(
            "riverrun_learner_learned_control_ratio",
            "The same of the learned weights alone, whatever is left to the origin.",
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
