"""What a client gets back, typed: answers, versions, the server's status.

Plain structs that `--json` can print; the protos behind them stay in `riverrun/client.py`.
"""

from typing import Literal

import msgspec

FinishReason = Literal["end", "length", "stop", "unspecified"]
ServerState = Literal["loading", "serving", "draining", "unspecified"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that were published. `next_offsets`: per raw partition, the next one not seen."""

    id: str
    parent_id: str | None
    step: int
    created_ms: int
    next_offsets: dict[int, int]
    documents: int
    metrics: dict[str, float]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer; every token of it is from `version`."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    version: Version


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the server does now, and did since its start."""

    rows: int
    waiting: int
    served: int
    failed: int
    generated_tokens: int
    tokens_per_s: float


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The server now. `version` is None while it loads, `freshness_s` before the first swap."""

    state: ServerState
    model: str
    version: Version | None
    context_tokens: int
    started_ms: int
    swaps: int
    refused_versions: int
    freshness_s: float | None
    load: Load
