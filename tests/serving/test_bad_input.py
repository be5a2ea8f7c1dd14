"""What a caller can get wrong gives the right code, names the field, and hurts nobody."""

import math
import sys
from typing import Any

import grpc
import pytest

from riverrun.client import Client
from riverrun.errors import (
    BrokerError,
    CheckpointError,
    InvalidValue,
    NotRunning,
    NotServing,
    RequestFailed,
    StoreError,
)
from riverrun.v1 import generation_pb2 as pb
from riverrun.v1 import generation_pb2_grpc as rpc
from riverrun.v1 import model_pb2, model_pb2_grpc
from serving.status_codes import TABLE, row_of, status_code
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, running_server, wait_for

SAMPLING = pb.Sampling
MESSAGE = pb.Message
CONVERSATION = pb.Conversation
CHOICE = pb.VersionChoice

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "input", "a prompt or a conversation"),
    ({"prompt": ""}, "prompt", "at least one character"),
    ({"prompt": "x" * 256}, "prompt", "at most 255 prompt tokens"),
    ({"prompt": "x" * 100_000}, "prompt", "100000 prompt tokens"),
    ({"prompt": "xy", "max_tokens": 255}, "max_tokens", "at most 254"),
    ({"prompt": "x", "max_tokens": 2**32 - 1}, "max_tokens", "at most 255"),
    ({"prompt": "x", "sampling": SAMPLING(temperature=-0.5)}, "sampling.temperature", "-0.5"),
    ({"prompt": "x", "sampling": SAMPLING(temperature=math.nan)}, "sampling.temperature", "nan"),
    ({"prompt": "x", "sampling": SAMPLING(temperature=math.inf)}, "sampling.temperature", "inf"),
    ({"prompt": "x", "sampling": SAMPLING(temperature=101)}, "sampling.temperature", "101"),
    ({"prompt": "x", "sampling": SAMPLING(top_p=0)}, "sampling.top_p", "above 0"),
    ({"prompt": "x", "sampling": SAMPLING(top_p=1.5)}, "sampling.top_p", "1.5"),
    ({"prompt": "x", "sampling": SAMPLING(top_p=-1)}, "sampling.top_p", "-1"),
    ({"prompt": "x", "sampling": SAMPLING(top_p=math.nan)}, "sampling.top_p", "nan"),
    ({"prompt": "x", "sampling": SAMPLING(min_p=-0.1)}, "sampling.min_p", "0 to 1"),
    ({"prompt": "x", "sampling": SAMPLING(min_p=math.nan)}, "sampling.min_p", "nan"),
    (
        {"prompt": "x", "sampling": SAMPLING(repetition_penalty=0)},
        "sampling.repetition_penalty",
        "above 0",
    ),
    (
        {"prompt": "x", "sampling": SAMPLING(repetition_penalty=math.nan)},
        "sampling.repetition_penalty",
        "nan",
    ),
    ({"prompt": "x", "logprobs": 21}, "logprobs", "0 to 20"),
    ({"prompt": "x", "version": CHOICE(mode=7)}, "version.mode", "PINNED or FOLLOW"),  # type: ignore[arg-type]
    ({"prompt": "x", "version": CHOICE(id="a/../b")}, "version.id", "1 to 128"),
    ({"prompt": "x", "version": CHOICE(min_id="x" * 129)}, "version.min_id", "1 to 128"),
    ({"prompt": "x", "version": CHOICE(id="a", min_step=1)}, "version.id", "beside it"),
    (
        {"prompt": "x", "version": CHOICE(after=dict.fromkeys(range(1025), 1))},
        "version.after",
        "at most 1024",
    ),
    ({"prompt": "x", "stop": ["s"] * 17}, "stop", "at most 16"),
    ({"prompt": "x", "stop": ["ok", ""]}, "stop[1]", "1 to 256 bytes"),
    ({"prompt": "x", "stop": ["é" * 129]}, "stop[0]", "1 to 256 bytes"),
    ({"conversation": CONVERSATION()}, "conversation.messages", "at least one message"),
    (
        {"conversation": CONVERSATION(messages=[MESSAGE(role="user"), MESSAGE(role="wizard")])},
        "conversation.messages[1].role",
        "wizard",
    ),
]


@pytest.fixture
def stub(server: RunningServer) -> Any:
    return rpc.GenerationStub(grpc.insecure_channel(server.address))  # type: ignore[no-untyped-call]


def test_every_bad_field_is_named_and_the_server_goes_on(
    server: RunningServer, client: Client, stub: Any
) -> None:
    from riverrun.client.failures import failures

    for fields, field, words in CASES:
        with pytest.raises(RequestFailed) as failed, failures():
            list(stub.Generate(pb.GenerateRequest(**fields)))
        assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", field), fields
        assert words in failed.value.details
        assert len(failed.value.details) < 500
    labels = {"method": "Generate", "code": "INVALID_ARGUMENT"}
    # The client has its answer a moment before the call is counted.
    counted = "riverrun_serving_requests_total"
    wait_for(lambda: server.metric(counted, labels) == len(CASES), "all counted")
    assert client.generate("fine", max_tokens=4).completion_tokens <= 4
    assert client.status().load.failed == 0


def test_a_message_of_ten_megabytes_is_refused_and_the_server_goes_on(
    client: Client, stub: Any
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(stub.Generate(pb.GenerateRequest(prompt="x" * 10_000_000)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.generate("fine", max_tokens=4).completion_tokens <= 4


@pytest.mark.parametrize("data", [b"\x0a\x02\xff\xfe", b"\xff\xff\xff", b"\x0a\x7f"])
def test_bytes_that_are_no_request_or_no_utf8_are_the_callers_fault(
    server: RunningServer, data: bytes
) -> None:
    from riverrun.client.failures import failures

    with grpc.insecure_channel(server.address) as channel:
        untyped: Any = channel
        call = untyped.unary_stream("/riverrun.v1.Generation/Generate")
        with pytest.raises(RequestFailed) as failed, failures():
            list(call(data))
    assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", "request")


def test_an_interval_out_of_range_is_named(server: RunningServer) -> None:
    from riverrun.client.failures import failures

    channel = grpc.insecure_channel(server.address)
    stub: Any = model_pb2_grpc.ModelStub(channel)  # type: ignore[no-untyped-call]
    for interval_ms in (1, 9, 60_001):
        with pytest.raises(RequestFailed) as failed, failures():
            next(stub.WatchStatus(model_pb2.WatchStatusRequest(interval_ms=interval_ms)))
        assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", "interval_ms")
    channel.close()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "prompt, messages"),
        ({"prompt": "x", "messages": []}, "prompt, messages"),
        ({"prompt": "x", "max_tokens": -1}, "max_tokens"),
        ({"prompt": "x", "top_k": -1}, "top_k"),
        ({"prompt": "x", "seed": -1}, "seed"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"messages": [{"role": "user", "text": "x"}]}, "messages"),
    ],
)
def test_what_no_request_can_carry_is_refused_by_the_client(
    options: dict[str, Any], field: str
) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(InvalidValue) as refused:
        client.stream(**options)
    assert refused.value.field == field


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with Client("127.0.0.1:1", timeout_s=5) as client, pytest.raises(RequestFailed) as failed:
        client.status()
    assert failed.value.code == "UNAVAILABLE"


def test_a_port_that_is_taken_is_said_so(published: Published, server: RunningServer) -> None:
    from riverrun.errors import RiverrunError

    port = int(server.address.rsplit(":", 1)[1])
    with (
        pytest.raises(RiverrunError, match=r"cannot listen on .*taken"),
        running_server(published.root / "another", port=port) as second,
    ):
        second.running.stop.wait(0)


def test_without_a_template_a_conversation_is_refused(published: Published) -> None:
    config = published.root / "store" / "model" / "tokenizer_config.json"
    config.write_text("{}")
    published.publish(1)
    with (
        running_server(published.root) as server,
        Client(server.wait_ready()) as client,
        pytest.raises(RequestFailed, match="no chat template") as failed,
    ):
        client.generate(messages=[{"role": "user", "content": "hi"}])
    assert (failed.value.code, failed.value.field) == ("INVALID_ARGUMENT", "messages")


def test_every_error_of_ours_has_a_code() -> None:
    assert status_code(InvalidValue("f", 1, "2")) is grpc.StatusCode.INVALID_ARGUMENT
    assert status_code(NotRunning("x")) is grpc.StatusCode.UNAVAILABLE
    assert status_code(CheckpointError("x")) is grpc.StatusCode.INTERNAL
    assert {row_of(kind("x")).code for kind in (NotServing, BrokerError, StoreError)} == {
        grpc.StatusCode.UNAVAILABLE
    }
    # What may be tried again says when; what may not says nothing.
    retried = {row.code for row in TABLE.values() if row.retry_after_s is not None}
    assert retried == {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_a_fault_of_the_server_is_internal_and_told_only_to_the_log(
    client: Client,
    server: RunningServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(sys.modules["serving.services.generation"], "sequence_of", broken)
    with pytest.raises(RequestFailed) as failed:
        client.generate("x")
    assert failed.value.code == "INTERNAL"
    assert "secret" not in failed.value.details
    assert "a secret" in caplog.text
    labels = {"method": "Complete", "code": "INTERNAL"}
    wait_for(lambda: server.metric("riverrun_serving_requests_total", labels) == 1, "counted")
