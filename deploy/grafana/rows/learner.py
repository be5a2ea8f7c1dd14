"""What the learner's steps learn, and what they cost."""

from panels import Panel, Row
from promql import quantile, rate

ROW = Row(
    "Learner: is it learning, and does it keep what it knew?",
    [
        Panel(
            "Loss of new text before learning it",
            "none",
            "Prequential, bits a byte. Rising: the text drifts.",
            [("riverrun_learner_prequential_bits_per_byte", "bits/byte")],
        ),
        Panel(
            "Training loss",
            "none",
            "Nats a token, by kind of step.",
            [("riverrun_learner_loss", "{{kind}}")],
        ),
        Panel(
            "Distance from the origin",
            "none",
            "KL from the untouched model on its own texts: forgetting follows it.",
            [("riverrun_learner_origin_divergence", "KL, nats a token")],
        ),
        Panel(
            "Gradient norm",
            "none",
            "Before clipping: vanishing and exploding show here.",
            [("riverrun_learner_gradient_norm", "norm")],
        ),
        Panel(
            "Learning rate",
            "none",
            "Warm-up, then constant.",
            [("riverrun_learner_rate", "rate")],
        ),
        Panel(
            "Skipped steps",
            "none",
            "Loss or gradient was not finite.",
            [
                (
                    "sum(increase(riverrun_learner_non_finite_steps_total[5m]))",
                    "skipped in 5 min",
                )
            ],
        ),
        Panel(
            "Lag",
            "none",
            "Clean records not yet learned.",
            [("sum(riverrun_learner_lag)", "records")],
        ),
        Panel(
            "Due documents",
            "none",
            "Still to be rehearsed.",
            [("riverrun_learner_due_documents", "due")],
        ),
        Panel(
            "Documents learned",
            "cps",
            "By source.",
            [rate("riverrun_learner_documents", by="source")],
        ),
        Panel(
            "Tokens trained on",
            "cps",
            "New text, rehearsal, replay memory, origin memory.",
            [rate("riverrun_learner_tokens", by="part")],
        ),
        Panel(
            "Dropped records",
            "cps",
            "`repeated` is normal after a crash of the stream.",
            [rate("riverrun_learner_dropped", by="reason")],
        ),
        Panel(
            "Step time",
            "s",
            "Median and 99th percentile.",
            [
                (quantile(0.5, "riverrun_learner_step_seconds"), "p50"),
                (quantile(0.99, "riverrun_learner_step_seconds"), "p99"),
            ],
        ),
        Panel(
            "Memory",
            "none",
            "Blocks of the replay memory, texts of the origin memory.",
            [
                ("riverrun_learner_memory_blocks", "replay blocks"),
                ("riverrun_learner_origin_texts", "origin texts"),
            ],
        ),
    ],
)
