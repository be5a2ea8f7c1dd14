"""Any request message, and any bytes, to every method: an answer or a clear refusal, and a server
that goes on.

`TEST_FUZZ_EXAMPLES` is the number of messages a method, as `.ci/run` sets it; by default it stays
within some seconds.
"""

import os
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.client import Client
from riverrun.client.failures import request_failed
from riverrun.errors import RequestFailed
from riverrun.settings import Settings
from riverrun.v1 import admin_pb2, feedback_pb2, generation_pb2, model_pb2
from serving.requests.orders import MAX_WAIT_MS
from tests.serving.messages import messages
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server

EXAMPLES = int(os.environ.get("TEST_FUZZ_EXAMPLES", "15"))
ANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
FILES: tuple[Any, ...] = (generation_pb2, model_pb2, feedback_pb2, admin_pb2)
METHODS = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
CLEAR = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",  # no Kafka runs here
    "DEADLINE_EXCEEDED",  # WatchStatus goes on for ever; a version that never comes
}
DEADLINE_S = 8.0


def refusal(address: str, method: MethodDescriptor, data: bytes) -> RequestFailed | None:
    """What these bytes get; None for an answer."""
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
            return request_failed(error)
    return None


def assert_clear(failed: RequestFailed | None, method: MethodDescriptor, sent: Any) -> None:
    """An answer, or a refusal that a caller can act upon."""
    if failed is None:
        return
    assert failed.code in CLEAR, (failed, sent)
    assert len(failed.details) < 600
    if failed.code == "INVALID_ARGUMENT":
        assert failed.field, (failed, sent)
        assert "is not allowed; it takes" in failed.details
    if failed.code == "DEADLINE_EXCEEDED" and method.name != "WatchStatus":
        # What waits for a version is told by the server what is served, not by its own clock.
        assert "is not served after" in failed.details, sent


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_any_message_gets_an_answer_or_a_clear_refusal(
    server: RunningServer, client: Client, published: Published, method: MethodDescriptor
) -> None:
    right = client.generate("the river", max_tokens=6).text

    @ANY
    @given(message=messages(method.input_type))
    def send(message: Any) -> None:
        assert_clear(refusal(server.address, method, message.SerializeToString()), method, message)

    send()
    assert client.generate("the river", max_tokens=6).text == right
    assert client.status().load.failed == 0


def test_any_bytes_get_an_answer_or_a_clear_refusal(server: RunningServer, client: Client) -> None:
    @settings(ANY, max_examples=4 * EXAMPLES)
    @given(data=st.binary(max_size=64), method=st.sampled_from(METHODS))
    def send(data: bytes, method: MethodDescriptor) -> None:
        assert_clear(refusal(server.address, method, data), method, data)

    send()
    assert client.generate("the river", max_tokens=6).completion_tokens <= 6


def rightly(method: str, request_id: str, version: str) -> Any:
    """A request of Feedback or Admin that is taken, for an answer and a version that there are."""
    subject = feedback_pb2.Subject(request_id=request_id)
    order = admin_pb2.Order(wait_ms=0)
    return {
        "Rate": feedback_pb2.RateRequest(id="rate", subject=subject, rating=0.5),
        "Correct": feedback_pb2.CorrectRequest(id="correct", subject=subject, correction="x"),
        "Prefer": feedback_pb2.PreferRequest(id="prefer", subject=subject, chosen="a better one"),
        "Promote": admin_pb2.PromoteRequest(order=order, version_id=version),
        "Hold": admin_pb2.HoldRequest(order=order),
        "Release": admin_pb2.ReleaseRequest(order=order),
        "RollBack": admin_pb2.RollBackRequest(order=order, version_id=version),
        "PauseLearning": admin_pb2.PauseLearningRequest(order=order),
        "ResumeLearning": admin_pb2.ResumeLearningRequest(order=order),
        "Undo": admin_pb2.UndoRequest(order=order, version_id=version),
        "ReleaseSource": admin_pb2.ReleaseSourceRequest(order=order, source="news"),
    }[method]


@st.composite
def nearly_right(draw: st.DrawFn, right: Any) -> Any:
    """Any message of that kind, with some fields of the right one, and often with all of them."""
    names = {field.name for field, _ in right.ListFields()}
    message = draw(messages(right.DESCRIPTOR))
    taken = draw(st.just(names) | st.sets(st.sampled_from(sorted(names))))
    fields = type(right)()
    fields.CopyFrom(right)
    for name in names - taken:
        fields.ClearField(name)
    for name in taken:
        message.ClearField(name)
    message.MergeFrom(fields)
    if "order" in names and message.order.wait_ms <= MAX_WAIT_MS:
        message.order.wait_ms = 0  # there is no learner to wait for
    return message


def test_feedback_and_commands_that_reach_kafka_are_answered_or_clearly_refused(
    published: Published, kafka_settings: Settings
) -> None:
    version = published.publish(1)
    with (
        running_server(published.root, kafka=kafka_settings.kafka) as server,
        Client(server.wait_ready(), timeout_s=60, retries=0) as client,
    ):
        answer = client.generate("the river", max_tokens=6)

        def send_many(method: MethodDescriptor) -> int:
            """How many were taken."""
            taken: list[Any] = []

            @ANY
            @given(message=nearly_right(rightly(method.name, answer.request_id, version)))
            def send(message: Any) -> None:
                failed = refusal(server.address, method, message.SerializeToString())
                assert failed is None or failed.code != "UNAVAILABLE", (failed, message)
                assert_clear(failed, method, message)
                if failed is None:
                    taken.append(message)

            send()
            return len(taken)

        taken = {
            method.name: send_many(method)
            for method in METHODS
            if method.containing_service.name in ("Feedback", "Admin")
        }
        assert all(taken.values()), taken
        assert client.generate("the river", max_tokens=6).text == answer.text
        assert client.status().load.failed == 0
