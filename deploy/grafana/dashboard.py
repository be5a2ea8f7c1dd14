"""The Grafana dashboard as code: `python deploy/grafana/dashboard.py` writes the JSON.

Rows follow a record's way: stream, learner, versions, serving, processes. A test writes it again
and compares, and runs every expression against a real Prometheus.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

OUT = Path(__file__).parent / "dashboards" / "riverrun.json"
WINDOW = "[1m]"


class Panel(NamedTuple):
    title: str
    unit: str
    about: str
    series: list[tuple[str, str]]  # expression, legend


def rate(counter: str, by: str = "", legend: str = "") -> tuple[str, str]:
    """How much `counter` grows a second, in all or by a label."""
    grown = f"rate({counter}_total{WINDOW})"
    if by:
        return f"sum by ({by}) ({grown})", f"{{{{{by}}}}}"
    return f"sum({grown})", legend


def quantile(q: float, metric: str) -> str:
    return f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{WINDOW})))"


ROWS: list[tuple[str, list[Panel]]] = [
    (
        "Stream: raw text to clean documents",
        [
            Panel(
                "Raw records",
                "cps",
                "Records read from `raw`.",
                [rate("riverrun_stream_records", legend="records")],
            ),
            Panel(
                "Documents by source",
                "cps",
                "Documents written to `clean`.",
                [rate("riverrun_stream_documents", by="source")],
            ),
            Panel(
                "Dead letters by reason",
                "cps",
                "High: a producer or a rule is wrong.",
                [rate("riverrun_stream_rejections", by="reason")],
            ),
            Panel(
                "Text",
                "Bps",
                "UTF-8 bytes of clean text.",
                [rate("riverrun_stream_text_bytes", legend="bytes")],
            ),
            Panel(
                "Time to clean a record",
                "s",
                "Median and 99th percentile.",
                [
                    (quantile(0.5, "riverrun_stream_clean_seconds"), "p50"),
                    (quantile(0.99, "riverrun_stream_clean_seconds"), "p99"),
                ],
            ),
        ],
    ),
    (
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
    ),
    (
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
    ),
    (
        "Versions: from the learner to the answer",
        [
            Panel(
                "Versions by decision",
                "none",
                "In five minutes.",
                [("sum by (kind) (increase(riverrun_learner_versions_total[5m]))", "{{kind}}")],
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
                "Held-out loss over the best version's, control perplexity over the untouched "
                "model's, share of the knowledge budget used.",
                [
                    ("riverrun_learner_held_out_ratio", "held-out ratio"),
                    ("riverrun_learner_control_ratio", "control ratio"),
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
    ),
    (
        "Serving: can a user tell that the model is learning?",
        [
            Panel("Requests by code", "reqps", "", [rate("riverrun_serving_requests", by="code")]),
            Panel(
                "Answers by age of the version",
                "reqps",
                "previous and older: what began before a swap and is still running.",
                [rate("riverrun_serving_answer_seconds_count", by="version")],
            ),
            Panel(
                "Time in the queue",
                "s",
                "",
                [
                    (quantile(0.5, "riverrun_serving_queue_seconds"), "p50"),
                    (quantile(0.99, "riverrun_serving_queue_seconds"), "p99"),
                ],
            ),
            Panel(
                "Time to the first token",
                "s",
                "",
                [
                    (quantile(0.5, "riverrun_serving_first_token_seconds"), "p50"),
                    (quantile(0.99, "riverrun_serving_first_token_seconds"), "p99"),
                ],
            ),
            Panel(
                "Time between tokens",
                "s",
                "Swaps must not show here.",
                [
                    (quantile(0.5, "riverrun_serving_between_tokens_seconds"), "p50"),
                    (quantile(0.99, "riverrun_serving_between_tokens_seconds"), "p99"),
                ],
            ),
            Panel(
                "Time of a request",
                "s",
                "",
                [
                    (quantile(0.5, "riverrun_serving_request_seconds"), "p50"),
                    (quantile(0.99, "riverrun_serving_request_seconds"), "p99"),
                ],
            ),
            Panel("Tokens", "cps", "", [rate("riverrun_serving_tokens", by="kind")]),
            Panel(
                "Rows and queue",
                "none",
                "",
                [("riverrun_serving_rows", "decoding"), ("riverrun_serving_waiting", "waiting")],
            ),
        ],
    ),
    (
        "Processes",
        [
            Panel("Ready", "none", "", [("riverrun_process_up", "{{process}}")]),
            Panel(
                "Restarts",
                "none",
                "In ten minutes.",
                [("increase(riverrun_process_restarts_total[10m])", "{{process}}")],
            ),
            Panel(
                "Broker",
                "none",
                "Answers, by topic how far it has been written.",
                [
                    ("riverrun_broker_up", "up"),
                    ("sum by (topic) (riverrun_broker_end_offset)", "{{topic}}"),
                ],
            ),
            Panel("Broker memory", "bytes", "", [("riverrun_broker_resident_bytes", "resident")]),
        ],
    ),
]


def dashboard() -> dict[str, Any]:
    """The dashboard's JSON model: three panels a line below a row heading each."""
    panels: list[dict[str, Any]] = []
    y = 0
    for heading, row in ROWS:
        panels.append(
            {"type": "row", "title": heading, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}}
        )
        y += 1
        for i, panel in enumerate(row):
            panels.append(
                {
                    "type": "timeseries",
                    "title": panel.title,
                    "description": panel.about,
                    "datasource": {"type": "prometheus", "uid": "prometheus"},
                    "gridPos": {"h": 7, "w": 8, "x": 8 * (i % 3), "y": y + 7 * (i // 3)},
                    "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                    "targets": [
                        {"refId": chr(65 + n), "expr": expression, "legendFormat": legend}
                        for n, (expression, legend) in enumerate(panel.series)
                    ],
                }
            )
        y += 7 * ((len(row) + 2) // 3)
    for number, panel_json in enumerate(panels, start=1):
        panel_json["id"] = number
    return {
        "uid": "riverrun",
        "title": "riverrun",
        "tags": ["riverrun"],
        "schemaVersion": 39,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "panels": panels,
    }


if __name__ == "__main__":
    OUT.write_text(json.dumps(dashboard(), indent=1) + "\n")
