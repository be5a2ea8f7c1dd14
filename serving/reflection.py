"""What reflection can name. The library's pool finds services and messages, but not a service's
methods by their full names, as ghz and `grpcurl describe` ask for them (grpc/grpc issue 34743).

Called by `server.py`.
"""

from collections.abc import Sequence
from typing import Any

import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, enable_server_reflection


class MethodsToo:
    """The default pool, all of it, and methods."""

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """Raises KeyError, as the pool does."""
        try:
            file: FileDescriptor = self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            file = self._pool.FindMethodByName(symbol).containing_service.file
        return file


def add_reflection(services: Sequence[str], server: grpc.aio.Server) -> None:
    """Let clients ask for `services` and their messages, and for reflection itself."""
    pool: Any = MethodsToo()
    enable_server_reflection((*services, SERVICE_NAME), server, pool)
