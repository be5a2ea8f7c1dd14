"""Bytes that are no gRPC, below any message: the call or connection ends, the server goes on."""

import struct

import pytest

from riverrun.client import Client
from tests.serving.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    call_headers,
    connected,
    frame,
    frames,
    head,
)
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, wait_for

OPENED = PREFACE + frame(SETTINGS)
CALL = OPENED + call_headers("/riverrun.v1.Generation/Generate")


def message(data: bytes, *, compressed: int = 0, num_bytes: int | None = None) -> bytes:
    """gRPC's five bytes before a message, and the message."""
    return struct.pack(">BI", compressed, len(data) if num_bytes is None else num_bytes) + data


def last(payload: bytes) -> bytes:
    """DATA that ends the request."""
    return frame(DATA, payload, flags=END_STREAM, stream=1)


PROMPT = b"\x0a\x01x"
CONNECTION_ENDS = {
    "no HTTP/2 at all": b"\x00\xff" * 200,
    "HTTP/1.1": b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a preface that breaks off into something else": PREFACE[:12] + b"\xff" * 40,
    "a first frame that is no SETTINGS": PREFACE + frame(DATA, b"x", stream=1),
    "a frame of 16 MB": CALL + head(DATA, 2**24 - 1, stream=1) + bytes(100_000),
    "SETTINGS of five bytes": PREFACE + frame(SETTINGS, bytes(5)),
    "headers that are no HPACK": OPENED + frame(HEADERS, b"\xff" * 40, flags=END_HEADERS, stream=1),
}
CALL_ENDS = {
    "a message longer than it says": CALL + last(message(PROMPT * 9, num_bytes=3)),
    "a message of 4 GB": CALL + last(message(PROMPT, num_bytes=2**32 - 1)),
    "compressed, which was not agreed": CALL + last(message(PROMPT, compressed=1)),
    "a flag that is none": CALL + last(message(PROMPT, compressed=77)),
}
BREAKS_OFF = {
    "in the preface": PREFACE[:7],
    "in the headers": OPENED + head(HEADERS, 100, flags=END_HEADERS, stream=1) + b"\x00",
    "in a frame": CALL + head(DATA, 100, stream=1) + message(PROMPT),
    "in a message": CALL + frame(DATA, message(PROMPT, num_bytes=100), stream=1),
    # gRPC's library waits on, although no message can come.
    "in the last message": CALL + last(message(PROMPT, num_bytes=100)),
    "in the last length": CALL + last(b"\x00\x00\x00"),
    "before a message": CALL + last(b""),
}


@pytest.mark.parametrize("sent", CONNECTION_ENDS.values(), ids=CONNECTION_ENDS)
def test_what_is_no_http2_ends_the_connection(
    server: RunningServer, client: Client, published: Published, sent: bytes
) -> None:
    with connected(server.address) as connection:
        connection.sendall(sent)
        for kind, _, _ in frames(connection):
            if kind == GOAWAY:
                break
    assert_unharmed(published, client)


@pytest.mark.parametrize("sent", CALL_ENDS.values(), ids=CALL_ENDS)
def test_what_is_no_message_of_grpc_ends_the_call(
    server: RunningServer, client: Client, published: Published, sent: bytes
) -> None:
    with connected(server.address) as connection:
        connection.sendall(sent)
        ends = (
            kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM)
            for kind, flags, _ in frames(connection)
        )
        assert any(ends), "the call was left open"
    assert_unharmed(published, client)


@pytest.mark.parametrize("sent", BREAKS_OFF.values(), ids=BREAKS_OFF)
def test_what_breaks_off_holds_nothing_while_its_connection_is_there_and_after(
    server: RunningServer, client: Client, published: Published, sent: bytes
) -> None:
    with connected(server.address) as connection:
        connection.sendall(sent)
        assert_unharmed(published, client)
    assert_unharmed(published, client)


def assert_unharmed(published: Published, client: Client) -> None:
    """It answers rightly, and holds nothing but that."""
    answer = client.generate("the river", max_tokens=6)
    assert answer.text == published.greedy(published.live, "the river", 6)
    wait_for(lambda: (load := client.status().load).rows + load.waiting == 0, "nothing is held")
    assert client.status().load.failed == 0
