"""Settings of Kafka and of the embedded broker."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from riverrun.settings.section import Section


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
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none",
        description="How `riverrun produce` and `tail` compress what they send. All are read, "
        "whoever writes them; worth it where the network or the disk is the limit.",
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


class BrokerSettings(Section):
    """The process around the embedded broker."""

    start_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="How long Kafka may take to answer, seconds (2-4 usual)."
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0: a free one.")
