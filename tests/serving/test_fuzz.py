"""Any request message, and any bytes, to every method: an answer or a clear refusal, and a server
that goes on.

`TEST_FUZZ_EXAMPLES=2000` runs it at full size; by default it stays within some seconds.
"""

import os
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.client import Client
from riverrun.v1 import admin_pb2, feedback_pb2, generation_pb2, model_pb2
from tests.serving.messages import messages
from tests.serving.published import Published
from tests.serving.running_server import RunningServer

EXAMPLES = int(os.environ.get("TEST_FUZZ_EXAMPLES", "15"))
FILES: tuple[Any, ...] = (generation_pb2, model_pb2, feedback_pb2, admin_pb2)
METHODS = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
CLEAR = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "UNIMPLEMENTED",  # a choice of version
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",  # no Kafka runs here
    "DEADLINE_EXCEEDED",  # WatchStatus goes on for ever; a version that never comes
}
DEADLINE_S = 8.0


def code_of(address: str, method: MethodDescriptor, data: bytes) -> tuple[str, str]:
    """The code and the details that these bytes get."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    endless = method.name == "WatchStatus"
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        untyped: Any = channel
        try:
            if method.server_streaming:
                for _ in untyped.unary_stream(path)(data, timeout=0.2 if endless else DEADLINE_S):
                    continue
            else:
                untyped.unary_unary(path)(data, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            failed: Any = error
            return failed.code().name, failed.details() or ""
    return "OK", ""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_any_message_gets_an_answer_or_a_clear_refusal(
    server: RunningServer, client: Client, published: Published, method: MethodDescriptor
) -> None:
    right = client.generate("the river", max_tokens=6).text

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(message=messages(method.input_type))
    def send(message: Any) -> None:
        code, details = code_of(server.address, method, message.SerializeToString())
        assert code in CLEAR, (code, details, message)
        if code == "DEADLINE_EXCEEDED" and method.name != "WatchStatus":
            # What waits for a version is told by the server what is served, not by its own clock.
            assert "is not served after" in details, message
        assert len(details) < 600
        if code == "INVALID_ARGUMENT":
            assert "is not allowed; it takes" in details

    send()
    assert client.generate("the river", max_tokens=6).text == right
    assert client.status().load.failed == 0


def test_any_bytes_get_an_answer_or_a_clear_refusal(server: RunningServer, client: Client) -> None:
    @settings(
        max_examples=4 * EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.binary(max_size=64), method=st.sampled_from(METHODS))
    def send(data: bytes, method: MethodDescriptor) -> None:
        code, details = code_of(server.address, method, data)
        assert code in CLEAR, (code, details, data)

    send()
    assert client.generate("the river", max_tokens=6).completion_tokens <= 6
