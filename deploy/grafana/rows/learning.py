"""What the watches measure: held-out text, forgetting, drift, the layers."""

from panels import Panel, Row

ROW = Row(
    "Learning: is it well, what does it forget, does the text change?",
    [
        Panel(
            "Held-out text",
            "none",
            "Bits a byte of the served weights, never trained on.",
            [("riverrun_learner_held_out_bits_per_byte", "{{source}} {{bucket}}")],
        ),
        Panel(
            "Forgetting",
            "none",
            "Older held-out text now, minus its best ever, bits a byte.",
            [
                ("riverrun_learner_forgetting", "{{source}}"),
                ("riverrun_learner_forgetting_mean", "mean"),
            ],
        ),
        Panel(
            "Transfer",
            "none",
            "Bits a byte; above 0 is good.",
            [
                ("riverrun_learner_backward_transfer", "backward"),
                ("riverrun_learner_forward_transfer", "forward"),
            ],
        ),
        Panel(
            "New text: model, n-gram baseline, near future",
            "none",
            "Bits a byte before learning. Above the baseline: it has not learned yet.",
            [
                ("riverrun_learner_prequential_bits_per_byte", "model"),
                ("riverrun_learner_ngram_bits_per_byte", "blind n-gram"),
                ("riverrun_learner_near_future_bits_per_byte", "model, a gap ahead"),
            ],
        ),
        Panel(
            "Drift",
            "none",
            "0 stable, 1 warning, 2 drift.",
            [("riverrun_learner_drift_state", "{{source}}")],
        ),
        Panel(
            "Surprise of the frozen references",
            "none",
            "In deviations from what it was at first; means of 16 documents.",
            [("riverrun_learner_drift_residual", "{{source}}")],
        ),
        Panel(
            "Findings by kind",
            "none",
            "In five minutes.",
            [("sum by (kind) (increase(riverrun_learner_findings_total[5m]))", "{{kind}}")],
        ),
        Panel(
            "Gradient norm by layer",
            "none",
            "Before clipping.",
            [("riverrun_learner_layer_gradient_norm", "{{layer}}")],
        ),
        Panel(
            "Update to weight",
            "percentunit",
            "About 0.001 to 0.02 is usual.",
            [("riverrun_learner_update_ratio", "{{layer}}")],
        ),
        Panel(
            "Dead units and effective rank",
            "percentunit",
            "Plasticity: units that do nothing, directions in use.",
            [
                ("riverrun_learner_dead_units", "dead {{layer}}"),
                ("riverrun_learner_effective_rank", "rank {{layer}}"),
            ],
        ),
        Panel(
            "Kept apart",
            "none",
            "Held-out documents, and documents of skipped steps.",
            [
                ("riverrun_learner_held_out_texts", "held-out texts"),
                ("sum(riverrun_learner_held_out_documents_total)", "held out in all"),
                (
                    "sum by (cause) (riverrun_learner_non_finite_documents_total)",
                    "not finite: {{cause}}",
                ),
            ],
        ),
        Panel(
            "What watching costs",
            "percentunit",
            "Of the time of the steps.",
            [
                (
                    "sum(rate(riverrun_learner_watch_seconds_sum[5m])) "
                    "/ sum(rate(riverrun_learner_step_seconds_sum[5m]))",
                    "share",
                )
            ],
        ),
    ],
)
