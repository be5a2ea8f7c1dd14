"""Settings of the stream."""

from pydantic import Field

from riverrun.settings.section import Section


class StreamSettings(Section):
    """Raw text to clean documents."""

    max_text_bytes: int = Field(
        1_048_576,
        ge=64,
        le=16_777_216,
        description="A record with more bytes becomes a dead letter (`too_large`). 1 MiB is far "
        "above any document; the clean topic would refuse much more.",
    )
    batch_records: int = Field(
        256, ge=1, le=100_000, description="Records a worker cleans before it awaits their writes."
    )
    batch_wait_s: float = Field(
        0.02,
        ge=0,
        le=10,
        description="How long a busy worker lets a batch fill, seconds. The first record after a "
        "pause of this length never waits.",
    )
    default_source: str = Field(
        "default",
        min_length=1,
        max_length=200,
        description="Source of records that name none (neither in JSON, header nor key).",
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")
