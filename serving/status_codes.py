"""The one table from our errors to gRPC's codes, and the details that go with them.

Details are google.rpc messages, as other clients know them: BadRequest names the field,
RetryInfo the time to wait. Called by `serving/interceptor.py`.
"""

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from riverrun.errors import (
    InvalidValue,
    ModelError,
    NotServing,
    Overloaded,
    RiverrunError,
    UnknownVersion,
)

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata of a rich error, as every gRPC library names it."""

STATUS_CODES: dict[type[RiverrunError], grpc.StatusCode] = {
    InvalidValue: grpc.StatusCode.INVALID_ARGUMENT,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotServing: grpc.StatusCode.UNAVAILABLE,
    UnknownVersion: grpc.StatusCode.NOT_FOUND,
    ModelError: grpc.StatusCode.INTERNAL,
    RiverrunError: grpc.StatusCode.INTERNAL,
}


def status_code(error: RiverrunError) -> grpc.StatusCode:
    """The code of the nearest of the error's classes."""
    return next(STATUS_CODES[kind] for kind in type(error).__mro__ if kind in STATUS_CODES)


def details(error: RiverrunError) -> list[Message]:
    """What a client can act upon."""
    if isinstance(error, InvalidValue):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=str(error)
        )
        return [error_details_pb2.BadRequest(field_violations=[violation])]
    if isinstance(error, Overloaded):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        return [error_details_pb2.RetryInfo(retry_delay=delay)]
    return []


def trailing_metadata(error: RiverrunError) -> tuple[tuple[str, bytes], ...]:
    """The rich status, for `context.abort`."""
    found = details(error)
    if not found:
        return ()
    status = status_pb2.Status(code=status_code(error).value[0], message=str(error))
    for detail in found:
        status.details.add().Pack(detail)
    return ((DETAILS_KEY, status.SerializeToString()),)
