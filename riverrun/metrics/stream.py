"""What the stream tells."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class StreamMetrics:
    """Raw text to clean documents."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "riverrun_stream_records", "Raw records read.", ["partition"], registry=registry
        )
        self.documents = Counter(
            "riverrun_stream_documents", "Clean documents written.", ["source"], registry=registry
        )
        self.rejections = Counter(
            "riverrun_stream_rejections", "Dead letters written.", ["reason"], registry=registry
        )
        self.text_bytes = Counter(
            "riverrun_stream_text_bytes", "UTF-8 bytes of clean text written.", registry=registry
        )
        self.clean_seconds = Histogram(
            "riverrun_stream_clean_seconds",
            "Time to clean one record.",
            buckets=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "riverrun_stream_stage_seconds",
            "Time of one stage of cleaning, of one record in sixteen.",
            ["stage"],
            buckets=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
            registry=registry,
        )
        self.stage_changes = Counter(
            "riverrun_stream_stage_changes",
            "Texts that a stage of cleaning changed.",
            ["stage"],
            registry=registry,
        )
        self.position = Gauge(
            "riverrun_stream_position",
            "Raw offset cleaned last, plus one.",
            ["partition"],
            registry=registry,
        )
