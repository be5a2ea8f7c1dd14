"""The client's side of the protos: keyword arguments to requests, replies to structs, gRPC's
errors to ours.

Imports grpc; `riverrun/client.py` imports this late.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from riverrun.answers import Answer, FinishReason, Load, ServerState, Status, Version
from riverrun.errors import InvalidValue, RequestFailed
from riverrun.v1 import generation_pb2, generation_pb2_grpc, model_pb2, model_pb2_grpc, version_pb2

OPTIONS = [
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # Each client its own connection: gRPC would share one among all of a process.
    ("grpc.use_local_subchannel_pool", 1),
]
DETAILS_KEY = "grpc-status-details-bin"


def stubs(channel: Any) -> tuple[Any, Any]:
    """The generated stubs, which have no types."""
    generation: Any = generation_pb2_grpc.GenerationStub
    model: Any = model_pb2_grpc.ModelStub
    return generation(channel), model(channel)


# Requests


def generate_request(
    prompt: str | None,
    messages: Sequence[Mapping[str, str]] | None,
    max_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float | None,
    seed: int | None,
    stop: Sequence[str],
) -> generation_pb2.GenerateRequest:
    """
    Raises:
        InvalidValue: neither a prompt nor messages, or both; a value that its field cannot hold.
    """
    if (prompt is None) == (messages is None):
        given = None if prompt is None else "both"
        raise InvalidValue("prompt, messages", given, "exactly one of the two")
    request = generation_pb2.GenerateRequest()
    with _fits("max_tokens", max_tokens, "0 to 4294967295"):
        request.max_tokens = max_tokens
    with _fits("temperature", temperature, "a number"):
        request.sampling.temperature = temperature
    with _fits("top_k", top_k, "0 to 4294967295"):
        request.sampling.top_k = top_k
    if top_p is not None:
        with _fits("top_p", top_p, "a number"):
            request.sampling.top_p = top_p
    if seed is not None:
        with _fits("seed", seed, "0 to 2**64 - 1"):
            request.sampling.seed = seed
    with _fits("stop", stop, "a list of texts"):
        request.stop.extend([stop] if isinstance(stop, str) else stop)
    if prompt is not None:
        with _fits("prompt", prompt, "a text"):
            request.prompt = prompt
    else:
        request.conversation.SetInParent()
        with _fits("messages", messages, "objects with `role` and `content`"):
            for message in messages or ():
                request.conversation.messages.add(**message)
    return request


@contextlib.contextmanager
def _fits(field: str, value: object, allowed: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise InvalidValue(field, value, allowed) from error


def status_request() -> model_pb2.GetStatusRequest:
    return model_pb2.GetStatusRequest()


def watch_request(interval_s: float) -> model_pb2.WatchStatusRequest:
    request = model_pb2.WatchStatusRequest()
    with _fits("interval_s", interval_s, "0.01 to 60"):
        request.interval_ms = round(interval_s * 1000)
    return request


# Replies


def answer(final: generation_pb2.Final, text: str) -> Answer:
    reason = generation_pb2.FinishReason.Name(final.finish_reason)
    return Answer(
        text=text,
        finish_reason=cast(FinishReason, reason.removeprefix("FINISH_REASON_").lower()),
        prompt_tokens=final.prompt_tokens,
        completion_tokens=final.completion_tokens,
        version=version(final.version),
    )


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


# Errors


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Turns gRPC's error into RequestFailed."""
    try:
        yield
    except grpc.RpcError as error:
        raise _request_failed(error) from None


def _request_failed(error: Any) -> RequestFailed:
    field: str | None = None
    retry_after_s: float | None = None
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS_KEY:
            continue
        bad_request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        for detail in status_pb2.Status.FromString(value).details:
            if _unpacks(detail, bad_request) and bad_request.field_violations:
                field = bad_request.field_violations[0].field
            elif _unpacks(detail, retry):
                retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    return RequestFailed(
        error.code().name, error.details() or "", field=field, retry_after_s=retry_after_s
    )


def _unpacks(detail: Any, message: Message) -> bool:
    return bool(detail.Unpack(message))
