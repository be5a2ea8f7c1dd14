"""Every knob on one page: defaults, then a TOML file, then the environment, then the command line.

Environment names nest with two underscores: `RIVERRUN_LEARNER__LR=1e-4`. An unknown key is an
error. `riverrun/settings_load.py` merges the layers; `docs/configuration.md` is generated from the
descriptions here.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Section(BaseModel):
    """A group of settings; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """Where the text comes from."""

    bootstrap_servers: str | None = Field(
        None,
        description="`host:port,…` of your Kafka. Unset: `riverrun up` starts an embedded broker.",
    )
    topic_prefix: str = Field(
        "",
        pattern=r"^[a-zA-Z0-9._-]{0,100}$",
        description="Put before every topic name, so that systems can share one Kafka.",
    )
    num_partitions: int = Field(
        4,
        ge=1,
        le=1024,
        description="Partitions of `raw` and `clean` at creation. Four let four stream workers "
        "share the work. A later change is refused: offsets would no longer mean the same text.",
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of the embedded broker on loopback. 0: a free one, kept from then on.",
    )
    heap_mb: int = Field(
        512, ge=128, le=65536, description="Java heap of the embedded broker, MB (330 MB resident)."
    )
    max_record_bytes: int = Field(
        16_777_216,
        ge=1024,
        le=268_435_456,
        description="Largest record that the topics take, bytes. Text above "
        "`stream.max_text_bytes` still goes to the dead letters, so this is above that.",
    )
    request_timeout_s: float = Field(
        30.0, gt=0, le=600, description="How long a Kafka request may take, seconds."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How every client speaks to your Kafka."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="Used with a SASL_ protocol."
    )
    sasl_username: str | None = Field(None, description="Used with a SASL_ protocol.")
    sasl_password: SecretStr | None = Field(None, description="Used with a SASL_ protocol.")
    ssl_cafile: Path | None = Field(None, description="CA certificates (PEM) of your Kafka.")
    ssl_certfile: Path | None = Field(None, description="Our client certificate (PEM).")
    ssl_keyfile: Path | None = Field(None, description="Our client key (PEM).")


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


class LearnerSettings(Section):
    """The training loop. `None` takes the value that `learner/recipe.py` has for the model."""

    strategy: str = Field("replay", description="What a step minimizes: `replay` or `finetune`.")
    lr: float | None = Field(None, gt=0, le=1, description="Peak rate of AdamW.")
    warmup_steps: int | None = Field(
        None, ge=0, le=100_000, description="Steps from rate 0 to `lr`; constant from then on."
    )
    weight_decay: float | None = Field(None, ge=0, le=1, description="Decoupled weight decay.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the matrix products; weights and sums stay float32. `auto`: "
        "bfloat16 for pretrained models where the processor has it (2.5 times faster here), else "
        "float32. Part of the recipe: a run that moves to another kind of machine names it.",
    )
    grad_clip: float = Field(1.0, gt=0, le=1000, description="Largest global gradient norm.")
    block_tokens: int | None = Field(
        None,
        ge=8,
        le=32768,
        description="Tokens of one row of a batch; longer text is cut into rows.",
    )
    max_step_tokens: int | None = Field(
        None, ge=8, le=10_000_000, description="New tokens in one step at most (large when behind)."
    )
    max_wait_s: float = Field(
        0.05, ge=0, le=60, description="How long a poll waits for more text before a step, seconds."
    )
    replay_share: float | None = Field(
        None, ge=0, le=0.95, description="Share of a step's rows that come from the replay memory."
    )
    memory_blocks: int | None = Field(
        None, ge=1, le=100_000_000, description="Capacity of the replay memory, blocks."
    )
    max_passes: int | None = Field(
        None, ge=1, le=1000, description="Passes over a document at most, the first one included."
    )
    target_loss: float | None = Field(
        None, ge=0, le=20, description="A document is no longer due below this loss, nats a token."
    )
    study_pairs: int | None = Field(
        None,
        ge=0,
        le=16,
        description="Questions that the model wrote itself about a due document, shown beside it "
        "in each pass after the first; 0: none (pretrained models: it must speak).",
    )
    max_due_documents: int = Field(
        10_000,
        ge=0,
        le=10_000_000,
        description="Documents waiting for rehearsal at most; the "
        "oldest leave first and are counted.",
    )
    origin_texts: int | None = Field(
        None, ge=0, le=10_000, description="Texts in the origin memory (pretrained models)."
    )
    origin_file: Path | None = Field(
        None,
        description="Text file for the origin memory, one text a line (JSON lines with "
        "`text`, or plain). Unset: the model writes them itself.",
    )
    origin_weight: float | None = Field(
        None, ge=0, le=1000, description="Weight of the KL to the origin."
    )
    origin_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the untouched model's weights in those that are served: more keeps "
        "more of what it knew, and less of what it was told.",
    )
    ema_decay: float | None = Field(
        None, ge=0, lt=1, description="Decay per step of the averaged weights, which are served."
    )
    publish_interval_s: float | None = Field(
        None, ge=0, le=86_400, description="Shortest time between two versions, seconds."
    )
    checkpoint_interval_s: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="Longest time between two checkpoints, seconds. After "
        "a crash the journal replays what came since.",
    )
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="Checkpoints kept.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Every random choice derives from it.")
    num_threads: int = Field(
        0, ge=0, le=1024, description="Threads of torch. 0: all cores (the learner is `nice`)."
    )
    nice: int = Field(10, ge=0, le=19, description="Lower priority, so that serving comes first.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")


class StoreSettings(Section):
    """Where versions go."""

    url: str | None = Field(
        None, description="fsspec URL of the version store. Unset: `store` in the data directory."
    )
    keep_versions: int = Field(
        5,
        ge=2,
        le=10_000,
        description="Newest versions whose weights are kept; manifests of "
        "older ones stay, so that `trace` still works.",
    )


class ServingSettings(Section):
    """gRPC out."""

    host: str = Field(
        "127.0.0.1", description="Address to listen on. Loopback: there is no authentication yet."
    )
    port: int = Field(0, ge=0, le=65535, description="gRPC port. 0: a free one, kept from then on.")
    max_rows: int = Field(
        8, ge=1, le=1024, description="Requests decoded at once; more wait in the queue."
    )
    max_waiting: int = Field(
        256,
        ge=0,
        le=1_000_000,
        description="Requests that may wait for a row; more are refused with RESOURCE_EXHAUSTED.",
    )
    context_tokens: int = Field(
        1024,
        ge=16,
        le=1_048_576,
        description="Prompt and answer together at most; also bounded "
        "by the model. Cache memory is `max_rows` times this.",
    )
    prefill_tokens: int = Field(
        128, ge=1, le=65536, description="Prompt tokens run between two decode steps at most."
    )
    chunk_interval_s: float = Field(
        0.02, ge=0, le=5, description="Tokens that arrive closer than this share one message."
    )
    poll_interval_s: float = Field(
        0.05, gt=0, le=60, description="How often the store is asked for a newer version, seconds."
    )
    drain_timeout_s: float = Field(
        30.0, ge=0, le=3600, description="How long open streams may finish at shutdown, seconds."
    )
    num_threads: int = Field(
        1, ge=0, le=1024, description="Threads of torch. One leaves the other core to the learner."
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")


class SupervisorSettings(Section):
    """`riverrun up`."""

    start_timeout_s: float = Field(
        300.0, gt=0, le=86_400, description="How long a process may take to be ready, seconds."
    )
    stop_timeout_s: float = Field(
        45.0, gt=0, le=3600, description="How long a process may take to stop, seconds."
    )
    max_backoff_s: float = Field(
        30.0, gt=0, le=3600, description="Longest pause before a crashed process starts again."
    )
    max_restarts: int = Field(
        10,
        ge=0,
        le=1000,
        description="Restarts of one process within ten minutes before `up` "
        "gives up with its log's last lines.",
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")


class BrokerSettings(Section):
    """The process around the embedded broker."""

    start_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="How long Kafka may take to answer, seconds (2-4 usual)."
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="RIVERRUN_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        Path("riverrun-data"), description="All that a system keeps; processes meet here."
    )
    model: str = Field(
        "smollm2",
        min_length=1,
        description="`tiny`, `smollm2`, a directory in the Hugging Face layout, or `hf:ORG/NAME`.",
    )
    device: str = Field("auto", description="`auto` (CUDA when there is one), `cpu`, `cuda`, …")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="What the log files hold."
    )
    kafka: KafkaSettings = KafkaSettings()
    broker: BrokerSettings = BrokerSettings()
    stream: StreamSettings = StreamSettings()
    learner: LearnerSettings = LearnerSettings()
    store: StoreSettings = StoreSettings()
    serving: ServingSettings = ServingSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
