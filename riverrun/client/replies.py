"""Replies as the structs that a client gives.

Called by both clients.
"""

from collections.abc import Iterable
from typing import Any, cast

from riverrun.answers import (
    Alternative,
    Answer,
    Embeddings,
    FeedbackReceipt,
    FinishReason,
    LearnedDocument,
    Load,
    MissingDocuments,
    Outcome,
    OutcomeState,
    Score,
    Scores,
    ServerState,
    Status,
    StoredVersion,
    Switch,
    TokenCount,
    TokenLogprob,
    TokenScore,
    TraceEvent,
    Version,
)
from riverrun.records import Span
from riverrun.v1 import admin_pb2, feedback_pb2, generation_pb2, model_pb2, version_pb2


def answer(
    final: generation_pb2.Final, text: str, logprobs: list[TokenLogprob] | None = None
) -> Answer:
    reason = generation_pb2.FinishReason.Name(final.finish_reason)
    return Answer(
        text=text,
        finish_reason=cast(FinishReason, reason.removeprefix("FINISH_REASON_").lower()),
        prompt_tokens=final.prompt_tokens,
        completion_tokens=final.completion_tokens,
        version=version(final.version),
        request_id=final.request_id,
        deferred=final.deferred,
        logprobs=logprobs or None,
        versions=[
            Switch(version=version(one.version), completion_tokens=one.completion_tokens)
            for one in final.versions
        ]
        or None,
    )


def complete(proto: generation_pb2.CompleteResponse) -> Answer:
    return answer(proto.final, proto.text, token_logprobs(proto.logprobs))


def token_logprobs(protos: Iterable[generation_pb2.TokenLogprob]) -> list[TokenLogprob]:
    return [
        TokenLogprob(
            id=one.id,
            text=one.text,
            logprob=one.logprob,
            top=[Alternative(id=a.id, text=a.text, logprob=a.logprob) for a in one.top],
        )
        for one in protos
    ]


def scores(proto: generation_pb2.ScoreResponse) -> Scores:
    return Scores(
        scores=[
            Score(
                log_likelihood=one.log_likelihood,
                bits_per_byte=one.bits_per_byte,
                tokens=one.tokens,
                bytes=one.bytes,
                per_token=[
                    TokenScore(id=t.id, text=t.text, logprob=t.logprob, likeliest=t.likeliest)
                    for t in one.per_token
                ],
                deferred=one.deferred,
            )
            for one in proto.scores
        ],
        version=version(proto.version),
        request_id=proto.request_id,
    )


def embeddings(proto: generation_pb2.EmbedResponse) -> Embeddings:
    return Embeddings(
        vectors=[list(one.values) for one in proto.embeddings],
        tokens=[one.tokens for one in proto.embeddings],
        version=version(proto.version),
        request_id=proto.request_id,
    )


def token_count(proto: generation_pb2.CountTokensResponse) -> TokenCount:
    return TokenCount(tokens=proto.tokens, room_tokens=proto.room_tokens)


def version(proto: version_pb2.Version) -> Version:
    return Version(
        id=proto.id,
        parent_id=proto.parent_id or None,
        step=proto.step,
        created_ms=proto.created_ms,
        next_offsets=dict(proto.next_offsets),
        documents=proto.documents,
        metrics=dict(proto.metrics),
    )


def stored_version(proto: version_pb2.StoredVersion) -> StoredVersion:
    return StoredVersion(
        version=version(proto.version),
        promoted=proto.promoted,
        live=proto.live,
        has_weights=proto.has_weights,
        tokens=proto.tokens,
        bytes=proto.bytes,
        sha256=proto.sha256,
        decision=proto.decision,
        reason=proto.reason,
    )


def got_version(proto: model_pb2.GetVersionResponse) -> StoredVersion:
    return stored_version(proto.version)


def trace_event(proto: model_pb2.TraceVersionResponse) -> TraceEvent:
    if proto.HasField("version"):
        return version(proto.version)
    if proto.HasField("span"):
        span = proto.span
        return Span(
            step=span.step,
            partition=span.partition,
            raw_first=span.raw_first,
            raw_last=span.raw_last,
            clean_first=span.clean_first,
            clean_last=span.clean_last,
            num_documents=span.documents,
        )
    if proto.HasField("document"):
        found = proto.document
        return LearnedDocument(
            step=found.step,
            partition=found.partition,
            raw_offset=found.raw_offset,
            clean_offset=found.clean_offset,
            source=found.source,
            timestamp_ms=found.timestamp_ms,
            id=found.id or None,
            text=found.text,
        )
    missing = proto.missing
    return MissingDocuments(
        partition=missing.partition,
        clean_first=missing.clean_first,
        clean_last=missing.clean_last,
    )


def status(proto: model_pb2.Status) -> Status:
    load = proto.load
    state = model_pb2.State.Name(proto.state).removeprefix("STATE_").lower()
    return Status(
        state=cast(ServerState, state),
        model=proto.model,
        version=version(proto.version) if proto.HasField("version") else None,
        context_tokens=proto.context_tokens,
        started_ms=proto.started_ms,
        swaps=proto.swaps,
        refused_versions=proto.refused_versions,
        freshness_s=proto.freshness_s if proto.HasField("freshness_s") else None,
        load=Load(
            rows=load.rows,
            waiting=load.waiting,
            served=load.served,
            failed=load.failed,
            generated_tokens=load.generated_tokens,
            tokens_per_s=load.tokens_per_s,
        ),
    )


def got_status(proto: model_pb2.GetStatusResponse) -> Status:
    return status(proto.status)


def receipt(proto: Any) -> FeedbackReceipt:
    """Of a RateResponse, a CorrectResponse or a PreferResponse."""
    found: feedback_pb2.FeedbackReceipt = proto.receipt
    return FeedbackReceipt(
        id=found.id,
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        repeated=found.repeated,
    )


def outcome(proto: Any) -> Outcome:
    """Of any response of Admin."""
    found: admin_pb2.Outcome = proto.outcome
    state = admin_pb2.OutcomeState.Name(found.state).removeprefix("OUTCOME_STATE_").lower()
    return Outcome(
        state=cast(OutcomeState, state),
        command_id=found.command_id,
        version_id=found.version_id or None,
        event=found.event or None,
        reason=found.reason,
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
    )
