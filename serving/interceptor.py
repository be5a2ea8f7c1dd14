"""Around every call of our services: who calls, its id, its code and time, its error as a status.

A call's id is the client's `x-request-id`, else one of ours; it goes back as trailing metadata and
stands in every line that is logged meanwhile. An error of ours becomes what
`serving/status_codes.py` says; anything else is a fault, logged whole and told to the client as
INTERNAL. Nothing of a request is read before its caller is known. Health and reflection pass
through untouched, for probes and tools have no token. Called by gRPC, for every call.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import ServerInterceptor, ServicerContext

from riverrun.errors import InvalidValue, RiverrunError
from serving.access_log import AccessLog
from serving.call import Call, answering, new_request_id
from serving.requests.identifiers import identifier
from serving.security.guard import Guard, check
from serving.security.roles import role_for
from serving.status_codes import status_code, trailing_metadata

log = logging.getLogger(__name__)

OURS = "/riverrun."
REQUEST_ID_KEY = "x-request-id"
AUTHORIZATION_KEY = "authorization"
CLOCK_SLACK_S = 0.05
"""A client gives up at its own deadline, which may be a moment before ours."""

Behaviour = Callable[[Any, Any], Awaitable[Any]]
if TYPE_CHECKING:  # generic in the stubs alone
    Handler = grpc.RpcMethodHandler[Any, Any]
    Interceptor = ServerInterceptor[Any, Any]
    Context = ServicerContext[Any, Any]
else:
    Interceptor = ServerInterceptor


class CallObserver(Interceptor):
    """Wraps the coroutine of each unary or server-streaming method."""

    def __init__(self, guard: Guard, access_log: AccessLog) -> None:
        self._guard = guard
        self._access_log = access_log

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler":
        found = await continuation(handler_call_details)
        path = handler_call_details.method
        # None for a method that nobody has, whatever the stubs say.
        if found is None or not path.startswith(OURS):
            return found
        handler: Any = found
        if handler.response_streaming:
            wrapped: Handler = grpc.unary_stream_rpc_method_handler(
                self._observed(path, handler.unary_stream, handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        else:
            wrapped = grpc.unary_unary_rpc_method_handler(
                self._observed(path, handler.unary_unary, handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return wrapped

    def _observed(
        self, path: str, behaviour: Behaviour, parse: Callable[[bytes], Any]
    ) -> Behaviour:
        async def observed(data: bytes, context: "Context") -> Any:
            call = Call(_sent(context, REQUEST_ID_KEY) or new_request_id())
            caller = self._guard.caller(_sent(context, AUTHORIZATION_KEY))
            if caller is not None:
                call.by = caller.name

            async def answer() -> Any:
                check(caller, role_for(path))
                return await behaviour(_parsed(data, parse), context)

            with answering(call):
                return await self._answer(path.rsplit("/", 1)[-1], answer, context, call)

        return observed

    async def _answer(
        self,
        method: str,
        answer: Callable[[], Awaitable[Any]],
        context: "Context",
        call: Call,
    ) -> Any:
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        named: tuple[tuple[str, str], ...] = ((REQUEST_ID_KEY, call.request_id),)
        try:
            identifier(REQUEST_ID_KEY, call.request_id)
            context.set_trailing_metadata(named)
            return await answer()
        except asyncio.CancelledError:
            code = _code_of_cancellation(context)
            raise
        except RiverrunError as error:
            code = status_code(error)
            if code is grpc.StatusCode.INTERNAL:
                log.error("%s: %s", method, error)
            # An id that was refused could not travel as metadata.
            kept = () if _blames(error, REQUEST_ID_KEY) else named
            metadata: Any = (*kept, *trailing_metadata(error, call.request_id))
            await context.abort(code, str(error), metadata)
        except Exception as error:
            code = grpc.StatusCode.INTERNAL
            log.exception("%s failed", method)
            said = f"{type(error).__name__} in the server; its log has more"
            await context.abort(code, said, named)
        finally:
            self._access_log.ended(call, method, code.name, time.perf_counter() - started)


def _sent(context: "Context", name: str) -> str | None:
    """The client's metadata of that name."""
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return value if isinstance(value, str) else value.decode(errors="replace")
    return None


def _blames(error: RiverrunError, field: str) -> bool:
    return isinstance(error, InvalidValue) and error.field == field


def _parsed(data: bytes, parse: Callable[[bytes], Any]) -> Any:
    """The request; parsed here, as gRPC would make UNKNOWN of bytes that are none."""
    try:
        return parse(data)
    except DecodeError as error:
        raise InvalidValue("request", f"{len(data)} bytes", f"a valid message ({error})") from error


def _code_of_cancellation(context: "Context") -> grpc.StatusCode:
    left_s = context.time_remaining()
    if left_s is not None and left_s <= CLOCK_SLACK_S:
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.CANCELLED
