"""From raw records to clean documents."""

from panels import Panel, Row
from promql import quantile, rate

ROW = Row(
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
        Panel(
            "Feedback by kind",
            "cps",
            "Records of `feedback` that are as they must be, and dead letters of others by reason.",
            [
                rate("riverrun_stream_feedback", by="kind"),
                rate("riverrun_stream_feedback_rejections", by="reason"),
            ],
        ),
    ],
)
