"""The official client against a server of its own."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.serving.running_server import RunningServer

COMPLETION: dict[str, Any] = {"model": "tiny", "prompt": "x", "max_tokens": 1}
"""What is taken, for tests that spoil a field of it."""


def openai_client(server: RunningServer) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.http_address}/v1", api_key="none", max_retries=0, timeout=60
    )


@pytest.fixture
def ai(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai_client(server) as client:
        yield client
