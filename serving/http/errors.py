"""Our errors as OpenAI's: the status, the body, and when to come again.

The codes are those of `serving/status_codes.py`, so that both fronts blame the same. Called by
`serving/http/server.py`.
"""

import math
from collections.abc import Mapping
from typing import Any

import grpc

from riverrun.errors import InvalidValue, RiverrunError, UnknownModel
from serving.status_codes import facts_of, retry_after_s, row_of

Code = grpc.StatusCode

STATUS = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
    Code.INTERNAL: 500,
    # An answer that was ended; OpenAI's clients try a 409 again, and that is the thing to do.
    Code.ABORTED: 409,
    # 409 and 501 are what they are called; OpenAI's clients would try both again, for nothing.
    Code.ALREADY_EXISTS: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 400,
}
CODES = {404: Code.NOT_FOUND, 405: Code.UNIMPLEMENTED, 413: Code.RESOURCE_EXHAUSTED}
"""Of what HTTP itself refuses; the rest is INVALID_ARGUMENT."""

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def status_of(error: RiverrunError) -> int:
    if isinstance(error, UnknownModel):
        return 404
    return STATUS.get(row_of(error).code, 500)


def body_of(error: RiverrunError) -> dict[str, Any]:
    """`{"error": …}`; `param` is the field that is to blame, what else is known stands beside."""
    code = "model_not_found" if isinstance(error, UnknownModel) else row_of(error).reason.lower()
    facts = facts_of(error)
    return error_body(status_of(error), str(error), code, facts.pop("field", None), facts)


def error_body(
    status: int,
    message: str,
    code: str | None,
    param: str | None = None,
    facts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": {**error, **(facts or {})}}


def headers_of(error: RiverrunError) -> dict[str, str]:
    headers = {}
    delay_s = retry_after_s(error)
    if delay_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(delay_s)))
        headers["Retry-After-Ms"] = str(math.ceil(delay_s * 1000))
    if row_of(error).code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def in_openai_words(error: RiverrunError) -> RiverrunError:
    """The same, with the field named as the caller named it."""
    if type(error) is InvalidValue and error.field.startswith("sampling."):
        return InvalidValue(error.field.removeprefix("sampling."), error.value, error.allowed)
    return error
