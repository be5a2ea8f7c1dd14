"""Stores, servers and clients for the tests of serving."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from riverrun.client import Client
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path)


@pytest.fixture
def server(published: Published) -> Iterator[RunningServer]:
    """A server that is ready, with version 1 live."""
    published.publish(1)
    with running_server(published.root) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.address, timeout_s=60, retries=0) as client:
        yield client
