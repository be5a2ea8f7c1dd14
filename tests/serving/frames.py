"""HTTP/2 by hand: what no gRPC library would send."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A plain connection; nothing was said on it."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return head(kind, len(payload), flags=flags, stream=stream) + payload


def head(kind: int, num_bytes: int, *, flags: int = 0, stream: int = 0) -> bytes:
    """A frame's first nine bytes, whatever follows."""
    return num_bytes.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")


def call_headers(path: str, *, stream: int = 1) -> bytes:
    """The beginning of a call, in HPACK's plainest form: no index, no Huffman."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields.items())
    return frame(HEADERS, block, flags=END_HEADERS, stream=stream)


def _text(value: str) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()


def frames(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """What comes, (type, flags, payload), until the connection ends."""
    file = connection.makefile("rb")
    try:
        while len(start := file.read(9)) == 9:
            num_bytes = int.from_bytes(start[:3], "big")
            yield start[3], start[4], file.read(num_bytes)
    except ConnectionResetError:
        return
