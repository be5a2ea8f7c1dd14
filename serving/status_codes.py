"""The one table from our errors to gRPC's codes, and the details that go with them.

Details are google.rpc messages, as other clients know them: ErrorInfo names the reason, BadRequest
the field, RetryInfo the time to wait. Called by `serving/interceptor.py`; the HTTP front reads the
same table.
"""

from dataclasses import dataclass

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from riverrun.errors import (
    BrokerError,
    IdTaken,
    InvalidValue,
    ModelError,
    NotRunning,
    NotServing,
    OffsetExpired,
    Overloaded,
    PermissionDenied,
    PinExpired,
    RiverrunError,
    SlowReader,
    StoreError,
    Unauthenticated,
    UnknownReply,
    UnknownVersion,
    VersionGone,
    VersionNotYet,
    VersionRefused,
)

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata of a rich error, as every gRPC library names it."""

DOMAIN = "riverrun"
RETRY_AFTER_S = 1.0
"""Where the error itself does not know: about what a restart or a first version takes."""

FACTS = ("field", "version", "nearest", "role", "live", "step", "present")
Code = grpc.StatusCode


@dataclass(frozen=True, slots=True)
class Row:
    """`retry_after_s`: the same call will do later; the error's own value goes first."""

    code: grpc.StatusCode
    reason: str
    retry_after_s: float | None = None


TABLE: dict[type[RiverrunError], Row] = {
    InvalidValue: Row(Code.INVALID_ARGUMENT, "INVALID_FIELD"),
    Unauthenticated: Row(Code.UNAUTHENTICATED, "UNAUTHENTICATED"),
    PermissionDenied: Row(Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
    UnknownReply: Row(Code.NOT_FOUND, "UNKNOWN_REPLY"),
    UnknownVersion: Row(Code.NOT_FOUND, "UNKNOWN_VERSION"),
    VersionGone: Row(Code.FAILED_PRECONDITION, "VERSION_GONE"),
    VersionRefused: Row(Code.FAILED_PRECONDITION, "VERSION_REFUSED"),
    VersionNotYet: Row(Code.DEADLINE_EXCEEDED, "VERSION_NOT_YET"),
    PinExpired: Row(Code.ABORTED, "PIN_EXPIRED"),
    SlowReader: Row(Code.ABORTED, "SLOW_READER"),
    OffsetExpired: Row(Code.OUT_OF_RANGE, "OFFSET_EXPIRED"),
    IdTaken: Row(Code.ALREADY_EXISTS, "ID_TAKEN"),
    Overloaded: Row(Code.RESOURCE_EXHAUSTED, "OVERLOADED", RETRY_AFTER_S),
    NotServing: Row(Code.UNAVAILABLE, "NOT_SERVING", RETRY_AFTER_S),
    BrokerError: Row(Code.UNAVAILABLE, "KAFKA_AWAY", RETRY_AFTER_S),
    NotRunning: Row(Code.UNAVAILABLE, "KAFKA_AWAY", RETRY_AFTER_S),
    StoreError: Row(Code.UNAVAILABLE, "STORE_AWAY", RETRY_AFTER_S),
    ModelError: Row(Code.INTERNAL, "MODEL_FAULT"),
    RiverrunError: Row(Code.INTERNAL, "FAULT"),
}


def row_of(error: RiverrunError) -> Row:
    """The row of the nearest of the error's classes."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def status_code(error: RiverrunError) -> grpc.StatusCode:
    return row_of(error).code


def retry_after_s(error: RiverrunError) -> float | None:
    """After how many seconds the same call may do; None when it never will."""
    own: float | None = getattr(error, "retry_after_s", None)
    return row_of(error).retry_after_s if own is None else own


def facts_of(error: RiverrunError) -> dict[str, str]:
    """What the error names, for programs: both fronts tell it by these names."""
    values = {name: getattr(error, name, None) for name in FACTS}
    return {name: value for name, value in values.items() if isinstance(value, str) and value}


def details(error: RiverrunError, request_id: str) -> list[Message]:
    """What a client can act upon."""
    row = row_of(error)
    metadata = {"request_id": request_id, **facts_of(error)}
    found: list[Message] = [
        error_details_pb2.ErrorInfo(reason=row.reason, domain=DOMAIN, metadata=metadata)
    ]
    if "field" in metadata:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=metadata["field"], description=str(error)
        )
        found.append(error_details_pb2.BadRequest(field_violations=[violation]))
    delay_s = retry_after_s(error)
    if delay_s is not None:
        delay = Duration()
        delay.FromNanoseconds(int(delay_s * 1e9))
        found.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return found


def trailing_metadata(error: RiverrunError, request_id: str) -> tuple[tuple[str, bytes], ...]:
    """The rich status, for `context.abort`."""
    status = status_pb2.Status(code=status_code(error).value[0], message=str(error))
    for detail in details(error, request_id):
        status.details.add().Pack(detail)
    return ((DETAILS_KEY, status.SerializeToString()),)
