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
        self.paused = Gauge(
            "riverrun_stream_paused_sources",
            "Sources of a raw partition that are paused, since almost all they send is rejected.",
            ["partition"],
            registry=registry,
        )
        self.pauses = Counter(
            "riverrun_stream_pauses", "Times that a source was paused.", registry=registry
        )
        self.lag = Gauge(
            "riverrun_stream_lag",
            "Raw records of the partition not yet cleaned.",
            ["partition"],
            registry=registry,
        )
        self.oldest_seconds = Gauge(
            "riverrun_stream_oldest_uncleaned_seconds",
            "Since Kafka took the oldest raw record that is not cleaned; 0 when all are.",
            ["partition"],
            registry=registry,
        )
        self.watermark = Gauge(
            "riverrun_stream_watermark_seconds",
            "Newest record time of a source, never after Kafka's, seconds since 1970.",
            ["source"],
            registry=registry,
        )
        self.late = Counter(
            "riverrun_stream_late_records",
            "Documents whose own time lies over stream.late_s behind their source's watermark.",
            ["source"],
            registry=registry,
        )
        self.queue_records = Gauge(
            "riverrun_stream_queue_records",
            "Raw records that wait in this worker, of at most 10,000.",
            registry=registry,
        )
        self.remembered_bytes = Gauge(
            "riverrun_stream_duplicates_bytes",
            "What the memory of duplicates takes.",
            ["partition"],
            registry=registry,
        )
        self.position = Gauge(
            "riverrun_stream_position",
            "Raw offset cleaned last, plus one.",
            ["partition"],
            registry=registry,
        )
        self.feedback = Counter(
            "riverrun_stream_feedback",
            "Feedback records that are as they must be.",
            ["kind"],
            registry=registry,
        )
        self.feedback_rejections = Counter(
            "riverrun_stream_feedback_rejections",
            "Dead letters written of feedback records.",
            ["reason"],
            registry=registry,
        )
