"""The ports of serving, gRPC and HTTP, with the one guard and the one access log that both have.

Called by `serving/main.py`.
"""

import asyncio

from riverrun.process import Running
from riverrun.settings import Settings
from riverrun.workspace import ProcessState
from serving.access_log import AccessLog
from serving.http.server import HttpServer
from serving.security.guard import Guard
from serving.server import Server
from serving.state import State


class Fronts:
    """Both, or gRPC alone where `serving.http` is off."""

    def __init__(self, settings: Settings, running: Running, state: State) -> None:
        """
        Raises:
            InvalidValue: an address that may not be listened on; certificates or tokens not usable.
            RiverrunError: the gRPC port is taken, or the host is not ours.
        """
        self._running = running
        serving = settings.serving
        guard = Guard(serving, state.tally.metrics)
        access_log = AccessLog(state.tally, writes_lines=serving.access_log)
        workspace = running.workspace
        self.grpc = Server(state, guard, access_log, workspace.port("serving", serving.port))
        self.http: HttpServer | None = None
        if serving.http:
            port = workspace.port("http", serving.http_port)
            self.http = HttpServer(state, guard, access_log, port)

    async def start(self) -> None:
        """
        Raises:
            RiverrunError: the HTTP port is taken.
        """
        if self.http is not None:
            await self.http.start()
        await self.grpc.start()

    def announce(self, state: ProcessState, detail: str = "") -> None:
        """Tell the other processes how we stand, and where."""
        self._running.announce(
            state,
            address=self.grpc.address,
            http_address=None if self.http is None else self.http.address,
            detail=detail,
        )

    async def stop(self, grace_s: float) -> None:
        """Close the ports; gRPC calls that are open after `grace_s` are cancelled."""
        if self.http is None:
            await self.grpc.stop(grace_s)
        else:
            await asyncio.gather(self.grpc.stop(grace_s), self.http.stop())
