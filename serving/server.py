"""The gRPC server: its services, health, reflection, limits, certificate and port.

Knows nothing of what answers. Called by `serving/main.py`.
"""

from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from riverrun.errors import RiverrunError
from riverrun.settings import ServingSettings
from riverrun.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    generation_pb2,
    generation_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
)
from serving.access_log import AccessLog
from serving.interceptor import CallObserver
from serving.reflection import add_reflection
from serving.security.guard import Guard
from serving.services.admin import Admin
from serving.services.feedback import Feedback
from serving.services.generation import Generation
from serving.services.model import Model
from serving.state import State

SERVICES = (
    generation_pb2.DESCRIPTOR.services_by_name["Generation"].full_name,
    model_pb2.DESCRIPTOR.services_by_name["Model"].full_name,
    feedback_pb2.DESCRIPTOR.services_by_name["Feedback"].full_name,
    admin_pb2.DESCRIPTOR.services_by_name["Admin"].full_name,
)
MAX_REPLY_BYTES = 4 * 1024 * 1024
KEEPALIVE_REPLY_MS = 10_000
MIN_PING_INTERVAL_MS = 10_000
"""A client that pings more often than this is told GOAWAY (too_many_pings)."""


def options_of(settings: ServingSettings) -> list[tuple[str, int]]:
    """gRPC's options of this server."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # A long answer with logprobs is larger than any request.
        ("grpc.max_send_message_length", max(MAX_REPLY_BYTES, settings.max_message_bytes)),
        ("grpc.max_concurrent_streams", settings.max_streams),
        ("grpc.keepalive_time_ms", int(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_REPLY_MS),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        # Without it a second server would share our port in silence, and get half of the calls.
        ("grpc.so_reuseport", 0),
    ]


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def reached_at(host: str, port: int) -> str:
    """Where somebody on this machine finds what listens there."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return f"{bracketed(everywhere.get(host, host))}:{port}"


class Server:
    """Listens from `start` on; healthy from `set_serving` to `set_draining`."""

    def __init__(self, state: State, guard: Guard, access_log: AccessLog, port: int) -> None:
        """
        Raises:
            RiverrunError: the port is taken, or the host is not ours.
        """
        settings = state.settings.serving
        host = settings.host
        observer = CallObserver(guard, access_log)
        self._server = grpc.aio.server(options=options_of(settings), interceptors=[observer])
        asynchronous: Any = health.aio  # type: ignore[attr-defined]  # the stubs lack it
        self._health: Any = asynchronous.HealthServicer()
        # Generated code has no types.
        add: Any
        for add, service in (
            (generation_pb2_grpc.add_GenerationServicer_to_server, Generation(state)),
            (model_pb2_grpc.add_ModelServicer_to_server, Model(state)),
            (feedback_pb2_grpc.add_FeedbackServicer_to_server, Feedback(state)),
            (admin_pb2_grpc.add_AdminServicer_to_server, Admin(state)),
            (health_pb2_grpc.add_HealthServicer_to_server, self._health),
        ):
            add(service, self._server)
        add_reflection((*SERVICES, health.SERVICE_NAME), self._server)
        shown = bracketed(host)
        try:
            if guard.certificates is None:
                self.port = self._server.add_insecure_port(f"{shown}:{port}")
            else:
                credentials = guard.certificates.grpc_credentials()
                self.port = self._server.add_secure_port(f"{shown}:{port}", credentials)
        except RuntimeError as error:
            raise RiverrunError(
                f"serving cannot listen on {shown}:{port}: the port is taken or the address is "
                f"not this machine's (serving.host, serving.port)"
            ) from error
        self.address = reached_at(host, self.port)

    async def start(self) -> None:
        """Listen, and say NOT_SERVING."""
        await self._say(HealthCheckResponse.NOT_SERVING)
        await self._server.start()

    async def set_serving(self) -> None:
        await self._say(HealthCheckResponse.SERVING)

    async def set_draining(self) -> None:
        """NOT_SERVING from now on; still listening, so that a probe can read it."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Close the port; calls that are open after `grace_s` are cancelled."""
        await self._server.stop(grace_s)

    async def _say(self, status: HealthCheckResponse.ServingStatus) -> None:
        for service in ("", *SERVICES):
            await self._health.set(service, status)
