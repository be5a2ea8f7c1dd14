"""Limits of a connection: its streams, its pings, its messages."""

import asyncio
import os
import struct
import time
from typing import Any

import grpc
import grpc.aio
import pytest

from riverrun.client import Client
from riverrun.errors import RequestFailed
from riverrun.v1 import generation_pb2, generation_pb2_grpc
from tests.serving.frames import GOAWAY, PING, PREFACE, SETTINGS, connected, frame, frames
from tests.serving.published import Published
from tests.serving.running_server import held_engine, running_server, wait_for

NUM_STREAMS = int(os.environ.get("TEST_OPENED_STREAMS", "2000"))
"""10,000 at full size, 16 s."""
ENHANCE_YOUR_CALM = 11
"""RFC 9113, section 7."""


async def test_a_client_that_opens_thousands_of_streams_has_no_more_than_its_share(
    published: Published,
) -> None:
    published.publish(1)
    with running_server(published.root, max_streams=50) as server:
        address = server.wait_ready()
        options = [("grpc.use_local_subchannel_pool", 1)]
        with Client(address, timeout_s=30) as other, held_engine():
            async with grpc.aio.insecure_channel(address, options) as channel:
                stub: Any = generation_pb2_grpc.GenerationStub(channel)  # type: ignore[no-untyped-call]
                request = generation_pb2.GenerateRequest(prompt="x", max_tokens=200)
                calls = [stub.Generate(request) for _ in range(NUM_STREAMS)]
                await asyncio.to_thread(
                    wait_for, lambda: other.status().load.waiting == 50, "its share is open"
                )
                for _ in range(20):
                    began = time.monotonic()
                    status = await asyncio.to_thread(other.status)
                    assert status.load.waiting <= 50
                    assert time.monotonic() - began < 5
                for call in calls:
                    call.cancel()
        with Client(address, timeout_s=30) as other:
            wait_for(lambda: other.status().load.waiting == 0, "all are gone")
            assert other.generate("x", max_tokens=2).completion_tokens


def test_a_client_that_does_nothing_but_ping_is_sent_away(published: Published) -> None:
    published.publish(1)
    with running_server(published.root, max_streams=50) as server:
        with connected(server.wait_ready()) as connection:
            connection.sendall(PREFACE + frame(SETTINGS))
            connection.sendall(frame(PING, bytes(8)) * 20)
            found = {kind: payload for kind, _, payload in frames(connection)}
        assert GOAWAY in found
        assert struct.unpack(">I", found[GOAWAY][4:8]) == (ENHANCE_YOUR_CALM,)
        assert b"too_many_pings" in found[GOAWAY]
        with Client(server.address, timeout_s=20) as client:
            assert client.status().state == "serving"


@pytest.mark.parametrize("max_message_bytes", [4096, 100_000])
def test_a_message_of_the_limit_is_read_and_a_larger_one_is_not(
    published: Published, max_message_bytes: int
) -> None:
    published.publish(1)
    with (
        running_server(published.root, max_message_bytes=max_message_bytes) as server,
        Client(server.wait_ready(), timeout_s=30, retries=0) as client,
    ):
        for size, code in (
            (max_message_bytes - 100, "INVALID_ARGUMENT"),
            (max_message_bytes + 1, "RESOURCE_EXHAUSTED"),
        ):
            with pytest.raises(RequestFailed) as refused:
                client.generate("x" * size, max_tokens=1)
            assert refused.value.code == code
