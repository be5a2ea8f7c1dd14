"""The HTTP server: routes, who may call them, and what comes of errors.

The same guard, ids, codes and access log as gRPC's interceptor. `/healthz` and `/readyz` take no
token. Runs on serving's event loop. Called by `serving/main.py`.
"""

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from aiohttp.typedefs import Handler

from riverrun.errors import InvalidValue, RiverrunError, SlowReader, UnknownModel
from serving.access_log import AccessLog
from serving.call import Call, answering, new_request_id
from serving.http.answers import STREAM, Answers, encode, event
from serving.http.errors import (
    CODES,
    body_of,
    error_body,
    headers_of,
    in_openai_words,
    status_of,
)
from serving.http.requests import ALIAS
from serving.http.sending import sending
from serving.requests.identifiers import identifier
from serving.security.guard import Guard, check, is_loopback
from serving.server import reached_at
from serving.state import State
from serving.status_codes import row_of

log = logging.getLogger(__name__)

REQUEST_ID_HEADER = "x-request-id"
CUT_AFTER_S = 0.25
"""For calls that are open when the drain has ended. aiohttp waits it twice; 0 would be for ever."""

SERVER = "riverrun"
"""Instead of the library and its version."""

GONE = (ConnectionError, SlowReader)
"""A client who went, or was cut off, cannot be told what is wrong; aiohttp sees that he is gone."""

KEEPALIVE_S = 75.0
"""Above the 60 s after which common balancers drop a silent connection themselves."""


class HttpServer:
    """Listens from `start` on; says by itself whether it is ready."""

    def __init__(self, state: State, guard: Guard, access_log: AccessLog, port: int) -> None:
        self._state = state
        self._guard = guard
        self._access_log = access_log
        settings = state.settings.serving
        self._host, self._port = settings.host, port
        self._send_timeout_s = settings.send_timeout_s
        self._model = model_name(state.model)
        self._started_s = state.started_ms // 1000
        # Where nobody has to prove himself, a web page must not get here by a name of its own.
        self._takes_loopback_names_only = not guard.has_tokens and is_loopback(settings.host)

        @web.middleware
        async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._sent(request, await self._observed(request, handler))

        app = web.Application(client_max_size=settings.max_message_bytes, middlewares=[observed])
        answers = Answers(state, self._model)
        app.router.add_get("/healthz", self._healthz, name="healthz")
        app.router.add_get("/readyz", self._readyz, name="readyz")
        app.router.add_get("/v1/models", self._models, name="http.models")
        app.router.add_get("/v1/models/{model:.+}", self._named_model, name="http.model")
        app.router.add_post("/v1/completions", answers.completions, name="http.completions")
        app.router.add_post("/v1/chat/completions", answers.chat, name="http.chat")
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            auto_decompress=False,
            shutdown_timeout=CUT_AFTER_S,
        )
        scheme = "http" if guard.certificates is None else "https"
        self.address = f"{scheme}://{reached_at(settings.host, port)}"

    async def start(self) -> None:
        """
        Raises:
            RiverrunError: the port is taken, or the host is not ours.
        """
        await self._runner.setup()
        certificates = self._guard.certificates
        context = None if certificates is None else certificates.http_context()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise RiverrunError(
                f"serving cannot listen on {self._host}:{self._port} for HTTP: {error.strerror} "
                f"(serving.host, serving.http_port)"
            ) from error

    async def stop(self) -> None:
        """Close the port and cut what is still open."""
        await self._runner.cleanup()

    # Routes

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        phase = self._state.phase
        return web.Response(text=f"{phase}\n", status=200 if phase == "serving" else 503)

    async def _models(self, _: web.Request) -> web.Response:
        return _json({"object": "list", "data": [self._model_body()]})

    async def _named_model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if name not in (self._model, ALIAS):
            raise UnknownModel("model", name, f"`{self._model}` (or `{ALIAS}`)")
        return _json(self._model_body())

    def _model_body(self) -> dict[str, Any]:
        return {
            "id": self._model,
            "object": "model",
            "created": self._started_s,
            "owned_by": "riverrun",
        }

    # Around every call

    async def _observed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route.name
        if route in ("healthz", "readyz"):
            return await handler(request)
        call = Call(
            request.headers.get(REQUEST_ID_HEADER) or new_request_id(),
            peer=_peer_of(request),
            address=request.remote or "",
        )
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        with answering(call):
            try:
                response = await self._checked(request, handler, call)
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except ConnectionError:  # the client went while we wrote
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:  # noqa: BLE001 - the one place of this front
                code, response = await self._failed(request, error)
            finally:
                self._access_log.ended(
                    call, route or "http.unknown", code.name, time.perf_counter() - started
                )
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = call.request_id
            response.headers["Server"] = SERVER
        return response

    async def _sent(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """The same, once it is with the client; aiohttp would wait for him without end."""
        with contextlib.suppress(*GONE):
            async with sending(request, self._send_timeout_s):
                await response.prepare(request)
                await response.write_eof()
        return response

    async def _checked(
        self, request: web.Request, handler: Handler, call: Call
    ) -> web.StreamResponse:
        caller = self._guard.caller(request.headers.get("Authorization"))
        if caller is not None:
            call.by = caller.name
        check(caller, "read")
        if self._takes_loopback_names_only and not is_loopback(_host_of(request)):
            raise InvalidValue("host", request.host, "an address of this machine, or localhost")
        try:
            identifier(REQUEST_ID_HEADER, call.request_id)
        except InvalidValue:
            call.request_id = new_request_id()
            raise
        return await handler(request)

    async def _failed(
        self, request: web.Request, error: Exception
    ) -> tuple[grpc.StatusCode, web.StreamResponse]:
        """What an error becomes: a reply, or the last event of one that has begun."""
        headers: dict[str, str] = {}
        if isinstance(error, RiverrunError):
            error = in_openai_words(error)
            code, status, body = row_of(error).code, status_of(error), body_of(error)
            headers = headers_of(error)
            if code is grpc.StatusCode.INTERNAL:
                log.error("%s: %s", request.path, error)
        elif isinstance(error, web.HTTPException):
            code, status = CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT), error.status
            body = error_body(status, error.reason, None)
            headers = {key: error.headers[key] for key in ("Allow",) if key in error.headers}
        else:
            log.exception("%s failed", request.path, exc_info=error)
            code, status = grpc.StatusCode.INTERNAL, 500
            said = f"{type(error).__name__} in the server; its log has more"
            body = error_body(status, said, "fault")
        begun = request.get(STREAM)
        if begun is None:
            return code, _json(body, status, headers)
        with contextlib.suppress(*GONE):
            async with sending(request, self._send_timeout_s):
                await begun.write(event(encode(body)))
                await begun.write_eof()
        return code, begun


def model_name(model: str) -> str:
    """How callers name the model: a directory's last part, never where it lies."""
    return Path(model).name if "/" in model and not model.startswith("hf:") else model


def _peer_of(request: web.Request) -> str:
    """The connection, in the form of gRPC's."""
    address = None if request.transport is None else request.transport.get_extra_info("peername")
    if not address:
        return "unknown"
    host, port, *_ = address
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def _host_of(request: web.Request) -> str:
    host = request.host
    if host.startswith("["):
        return host.partition("]")[0]
    return host.partition(":")[0]


def _json(
    body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=encode(body), status=status, content_type="application/json", headers=headers
    )
