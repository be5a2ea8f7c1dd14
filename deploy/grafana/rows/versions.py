"""Versions: what the gate decides on them, and their way from the learner to the answer."""

from panels import Panel, Row
from promql import quantile

ROW = Row(
    "Versions: from the learner to the answer",
    [
        Panel(
            "Versions by decision",
            "none",
            "In five minutes; and how many in a row, up to the newest, are held.",
            [
                ("sum by (kind) (increase(riverrun_learner_versions_total[5m]))", "{{kind}}"),
                ("riverrun_learner_held_versions", "held in a row"),
            ],
        ),
        Panel(
            "Decisions of the gate",
            "none",
            "In five minutes: hold, roll back, rate, optimizer, quarantine.",
            [
                (
                    "sum by (action) (increase(riverrun_learner_decisions_total"
                    '{action!="promote"}[5m]))',
                    "{{action}}",
                )
            ],
        ),
        Panel(
            "The last candidate",
            "none",
            "Held-out loss over the best version's; control perplexity over the untouched "
            "model's, as it is served and by the learned weights alone; share of the knowledge "
            "budget used.",
            [
                ("riverrun_learner_held_out_ratio", "held-out ratio"),
                ("riverrun_learner_control_ratio", "control ratio"),
                ("riverrun_learner_learned_control_ratio", "learned weights alone"),
                ("riverrun_learner_budget_used", "budget used"),
            ],
        ),
        Panel(
            "Probes passed",
            "percentunit",
            "By group, as last run.",
            [
                ("riverrun_learner_probe_share", "{{group}}"),
                ("riverrun_learner_general_share", "general, of those known before"),
            ],
        ),
        Panel(
            "What judging costs",
            "percentunit",
            "Of the learner's time; gate.judging_share bounds it.",
            [
                ("rate(riverrun_learner_judging_seconds_total[5m])", "share"),
                (
                    "sum(increase(riverrun_learner_probes_skipped_total[5m]))",
                    "probe groups skipped in 5 min",
                ),
            ],
        ),
        Panel(
            "Freshness",
            "s",
            "From a record's arrival in Kafka to its version being served.",
            [
                (quantile(0.5, "riverrun_serving_freshness_seconds"), "p50"),
                (quantile(0.95, "riverrun_serving_freshness_seconds"), "p95"),
            ],
        ),
        Panel(
            "Live version",
            "none",
            "Its optimizer step.",
            [("riverrun_serving_version_step", "step")],
        ),
        Panel(
            "Swaps and refusals",
            "none",
            "In five minutes.",
            [
                ("sum(increase(riverrun_serving_swaps_total[5m]))", "swaps"),
                ("sum(increase(riverrun_serving_refused_versions_total[5m]))", "refused"),
                ("sum(increase(riverrun_serving_store_faults_total[5m]))", "store away"),
            ],
        ),
        Panel(
            "Time to write and to load a version",
            "s",
            "Median.",
            [
                (quantile(0.5, "riverrun_learner_publish_seconds"), "write"),
                (quantile(0.5, "riverrun_serving_load_seconds"), "load and verify"),
                (quantile(0.5, "riverrun_learner_checkpoint_seconds"), "checkpoint"),
            ],
        ),
    ],
)
