"""What a client gets back, typed: answers, scores, vectors, versions, receipts, the status.

Plain structs that `--json` can print; the protos behind them stay in `riverrun/client/`.
"""

from typing import Literal

import msgspec

from riverrun.records import Span

FinishReason = Literal["end", "length", "stop", "unspecified"]
ServerState = Literal["loading", "serving", "draining", "unspecified"]
OutcomeState = Literal["accepted", "done", "refused", "unspecified"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that were published. `next_offsets`: per raw partition, the next one not seen."""

    id: str
    parent_id: str | None
    step: int
    created_ms: int
    next_offsets: dict[int, int]
    documents: int
    metrics: dict[str, float]


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version as the store keeps it. `live`: in the server that was asked."""

    version: Version
    promoted: bool
    live: bool
    has_weights: bool
    tokens: int
    bytes: int
    sha256: str
    decision: str
    reason: str


class LearnedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was learned, and where it is in Kafka."""

    step: int
    partition: int
    raw_offset: int
    clean_offset: int
    source: str
    timestamp_ms: int
    id: str | None
    text: str


class MissingDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """Clean offsets that Kafka no longer has; both ends are included."""

    partition: int
    clean_first: int
    clean_last: int


TraceEvent = Version | Span | LearnedDocument | MissingDocuments
"""What `trace` gives: a version, then its spans, each followed by its documents."""


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """One of the likeliest tokens of a position; `logprob` in nats."""

    id: int
    text: str
    logprob: float


class TokenLogprob(msgspec.Struct, frozen=True, kw_only=True):
    """A token of an answer, and how likely the model held it to be, in nats."""

    id: int
    text: str
    logprob: float
    top: list[Alternative]


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """From here on an answer is from `version`. completion_tokens: of the answer before it."""

    version: Version
    completion_tokens: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer; every token of it is from `version` (with `follow` its last one).

    request_id: what feedback names it by. logprobs: one for each token, where asked for.
    versions: with `follow`, all that gave it, in order; the first one at 0 tokens. deferred: the
    version left it to its origin, since nothing learned made the prompt likelier.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    version: Version
    request_id: str = ""
    logprobs: list[TokenLogprob] | None = None
    versions: list[Switch] | None = None
    deferred: bool = False


class TokenScore(msgspec.Struct, frozen=True, kw_only=True):
    """A token of a text, and how likely it was after all before it, in nats."""

    id: int
    text: str
    logprob: float
    likeliest: bool


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How likely a text is: in nats over `tokens`, and in bits for each of `bytes`.

    deferred: to the version's origin.
    """

    log_likelihood: float
    bits_per_byte: float
    tokens: int
    bytes: int
    per_token: list[TokenScore]
    deferred: bool = False


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """One score for each text, in order, all from `version`."""

    scores: list[Score]
    version: Version
    request_id: str


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """One vector of length 1 for each text, in order, all from `version`."""

    vectors: list[list[float]]
    tokens: list[int]
    version: Version
    request_id: str


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of an input, and how many an answer could have beside them."""

    tokens: int
    room_tokens: int


class FeedbackReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Where feedback is, once Kafka has it. `repeated`: it was there before this call."""

    id: str
    topic: str
    partition: int
    offset: int
    repeated: bool


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended. `accepted`: Kafka has it, the learner has not answered in time."""

    state: OutcomeState
    command_id: str
    version_id: str | None
    event: str | None
    reason: str
    topic: str
    partition: int
    offset: int


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
