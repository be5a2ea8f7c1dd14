"""What a user sees: answers, and the time they take."""

from panels import Panel, Row
from promql import quantile, rate

ROW = Row(
    "Serving: can a user tell that the model is learning?",
    [
        Panel("Requests by code", "reqps", "", [rate("riverrun_serving_requests", by="code")]),
        Panel(
            "Answers by age of the version",
            "reqps",
            "previous and older: what began before a swap and is still running.",
            [
                (
                    "sum by (version) (rate(riverrun_serving_answer_seconds_count[1m]))",
                    "{{version}}",
                )
            ],
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
)
