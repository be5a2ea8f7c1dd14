"""gRPC's errors as ours.

Called by both clients.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from riverrun.errors import RequestFailed

DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Turns gRPC's error into RequestFailed."""
    try:
        yield
    except grpc.RpcError as error:
        raise request_failed(error) from None


def request_failed(error: Any) -> RequestFailed:
    """What an RpcError says, with its details."""
    found: dict[str, Any] = {}
    for key, value in error.trailing_metadata() or ():
        if key == REQUEST_ID_KEY:
            found["request_id"] = value
        elif key == DETAILS_KEY:
            found.update(_details(value))
    return RequestFailed(error.code().name, error.details() or "", **found)


def _details(value: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    info = error_details_pb2.ErrorInfo()
    bad_request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    try:
        status = status_pb2.Status.FromString(value)
    except DecodeError:  # a proxy's own
        return found
    for detail in status.details:
        if _unpacks(detail, info):
            found["reason"], found["metadata"] = info.reason, dict(info.metadata)
        elif _unpacks(detail, bad_request) and bad_request.field_violations:
            found["field"] = bad_request.field_violations[0].field
        elif _unpacks(detail, retry):
            found["retry_after_s"] = retry.retry_delay.ToNanoseconds() / 1e9
    return found


def _unpacks(detail: Any, message: Message) -> bool:
    return bool(detail.Unpack(message))
