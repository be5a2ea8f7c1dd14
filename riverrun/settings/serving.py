"""Settings of serving."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from riverrun.settings.section import Section


class ServingSettings(Section):
    """gRPC out."""

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. One that is not loopback needs `tls_cert` and "
        "`tokens_file`.",
    )
    port: int = Field(0, ge=0, le=65535, description="gRPC port. 0: a free one, kept from then on.")
    http: bool = Field(True, description="Whether to serve the OpenAI-compatible HTTP API too.")
    http_port: int = Field(
        0, ge=0, le=65535, description="HTTP port. 0: a free one, kept from then on."
    )
    tls_cert: Path | None = Field(
        None,
        description="PEM file of the certificate and its chain, for both ports. Read again when "
        "it changes.",
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's key.")
    tls_client_ca: Path | None = Field(
        None,
        description="PEM file of authorities: only clients with a certificate of theirs are let "
        "in (mutual TLS).",
    )
    tokens_file: Path | None = Field(
        None,
        description="File of bearer tokens, one `NAME ROLE TOKEN` a line; `riverrun token` makes "
        "one. Read again when it changes. Unset: whoever reaches the port may do everything.",
    )
    allow_insecure: bool = Field(
        False,
        description="Listen on an address that is not loopback without TLS or without tokens. For "
        "a network that something else protects.",
    )
    max_message_bytes: int = Field(
        4_194_304,
        ge=4096,
        le=268_435_456,
        description="Size of a request at most, gRPC or HTTP; far above any prompt that fits.",
    )
    max_streams: int = Field(
        1024,
        ge=1,
        le=1_000_000,
        description="Calls that one gRPC connection may have open; its client holds further ones "
        "back.",
    )
    keepalive_s: float = Field(
        30.0,
        ge=1,
        le=86_400,
        description="A gRPC connection that is silent for so long is asked whether it lives, and "
        "closed after 10 s without a reply: its rows are free then.",
    )
    access_log: bool = Field(
        False,
        description="One line for every call: id, method, code, version, tokens, seconds, name of "
        "the token, address. Never a prompt or a token.",
    )
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
    max_waiting_tokens: int = Field(
        131_072,
        ge=0,
        le=1_000_000_000,
        description="Tokens, of prompts and of the answers that they may get, that may be open "
        "beyond what all rows hold; more are refused with RESOURCE_EXHAUSTED.",
    )
    weight_slots: int = Field(
        4,
        ge=3,
        le=64,
        description="Sets of weights in memory at most: the live one, the next, and old ones or "
        "such as requests name. Memory is taken when a set is first needed.",
    )
    max_pin_s: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="How long an answer may go on with weights that are not live, seconds; then it "
        "ends with ABORTED. A swap waits for free weights no longer.",
    )
    max_version_wait_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="How long a request without a deadline waits for the version or the offset "
        "that it asks for, seconds.",
    )
    max_version_waits: int = Field(
        256,
        ge=0,
        le=1_000_000,
        description="Requests that may wait for a version or an offset; more are refused with "
        "RESOURCE_EXHAUSTED.",
    )
    max_unread_tokens: int = Field(
        4096,
        ge=64,
        le=100_000_000,
        description="Tokens, and alternatives to them, that may gather unread for one client; "
        "beyond it the answer ends with ABORTED.",
    )
    send_timeout_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="How long one message may wait for a client to read; then the answer ends with "
        "ABORTED.",
    )
    cache_mb: int = Field(
        2048,
        ge=1,
        le=1_000_000,
        description="Memory that the key/value cache may take, MB; a start with more rows or "
        "context than fit is refused.",
    )
    reuse_prefixes: bool = Field(
        True,
        description="Whether a prompt may begin with keys that a row already holds, of the same "
        "version.",
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto",
        description="Form of the weights in serving. auto: the quickest on this machine, measured "
        "at the start; float32 for models below 20 million parameters.",
    )
    prefill_tokens: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Prompt tokens run between two decode steps at most; 128 for models below 20 "
        "million parameters, 64 for larger ones.",
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
