"""Settings of the stream."""

from pydantic import Field

from riverrun.settings.profile import ProfileSettings
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
    max_future_s: float = Field(
        86_400.0,
        ge=0,
        le=1e9,
        description="A record whose own timestamp lies further after Kafka's becomes a dead letter "
        "(`future`), seconds: it would hold every watermark ahead. A day allows for zones.",
    )
    late_s: float = Field(
        3600.0,
        ge=0,
        le=1e9,
        description="A document whose own time lies further behind the newest of its source counts "
        "as late, seconds. It is learned all the same.",
    )
    duplicates_max_bytes: int = Field(
        16_777_216,
        ge=0,
        le=4_294_967_296,
        description="Memory of duplicates, bytes a partition: 16 MiB are the newest 37,000 texts "
        "of a profile that compares whole texts, 7,000 of one that finds near duplicates. 0: none.",
    )
    duplicates_window_s: float = Field(
        86_400.0,
        gt=0,
        le=1e9,
        description="A text that comes again later than this is no duplicate, seconds between the "
        "two records by Kafka's time.",
    )
    pause_rejections: int = Field(
        500,
        ge=0,
        le=1_000_000_000,
        description="A source is paused when so many of its records in one raw partition were "
        "rejected within `pause_window_s`, and `pause_share` of all: producer or rule is broken "
        "then. Repetitions do not count. 0: never.",
    )
    pause_share: float = Field(
        0.9,
        ge=0,
        le=1,
        description="The share with it: more must be rejected. Strict profiles reject two "
        "thirds of the web.",
    )
    pause_window_s: float = Field(
        300.0, gt=0, le=86_400, description="The window that goes with it, seconds of Kafka's time."
    )
    pause_s: float = Field(
        900.0,
        gt=0,
        le=1e9,
        description="A paused source flows again after this, seconds of Kafka's time, or on "
        "`riverrun dead-letters resume`. Its documents meanwhile are dead letters (`paused`).",
    )
    profile: str = Field(
        "text",
        min_length=1,
        description="Cleaning profile of records that no pattern below names: `text`, `prose`, "
        "`chat`, `code`, `logs`, `web`, `none`, or an own one. `text` rejects nothing that is "
        "text: it repairs, and masks personal data.",
    )
    profile_by_source: dict[str, str] = Field(
        {},
        description='Patterns of sources to profiles, as `{"forum-*" = "chat"}`; an exact '
        "name goes first, then the first pattern that fits.",
    )
    profile_by_topic: dict[str, str] = Field(
        {}, description="The same by raw topic; asked when no source fits."
    )
    profiles: dict[str, ProfileSettings] = Field(
        {}, description="Own profiles, as `[stream.profiles.NAME]`: the table below."
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")
