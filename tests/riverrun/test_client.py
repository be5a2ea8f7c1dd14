"""The client library: when it tries again and when not, what it exports, receipts."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

import riverrun
from riverrun.errors import InvalidValue, RequestFailed
from riverrun.produce import produce
from riverrun.settings import Settings
from riverrun.v1 import generation_pb2 as pb
from riverrun.v1 import generation_pb2_grpc as rpc
from tests.riverrun.test_produce import consume


class Refusing(rpc.GenerationServicer):
    """Refuses the first calls as it is told, then answers "yes"."""

    def __init__(self, refusals: list[tuple[grpc.StatusCode, float | None]]) -> None:
        self.refusals = refusals
        self.at: list[float] = []
        self.ids: list[str] = []
        self.tokens: list[str | None] = []
        self.breaks_after_a_chunk = False

    def _refuse_or_go_on(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        self.at.append(time.monotonic())
        self.ids.append(metadata["x-request-id"])
        self.tokens.append(metadata.get("authorization"))
        if not self.refusals:
            return
        code, retry_after_s = self.refusals.pop(0)
        if retry_after_s is not None:
            status = status_pb2.Status(code=code.value[0], message="later")
            delay = Duration()
            delay.FromNanoseconds(int(retry_after_s * 1e9))
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
            details = (("grpc-status-details-bin", status.SerializeToString()),)
            context.set_trailing_metadata(details)
        context.abort(code, "later")

    def Complete(self, request: pb.GenerateRequest, context: Any) -> pb.CompleteResponse:
        del request
        self._refuse_or_go_on(context)
        return pb.CompleteResponse(text="yes")

    def Generate(self, request: pb.GenerateRequest, context: Any) -> Iterator[pb.GenerateResponse]:
        del request
        self._refuse_or_go_on(context)
        yield pb.GenerateResponse(chunk=pb.Chunk(text="yes"))
        if self.breaks_after_a_chunk:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        yield pb.GenerateResponse(final=pb.Final())


@contextmanager
def serving(service: Refusing, port: int = 0) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    rpc.add_GenerationServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


OVERLOADED = grpc.StatusCode.RESOURCE_EXHAUSTED
AWAY = grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("streams", [False, True])
def test_it_waits_as_long_as_the_server_says_and_keeps_its_id(streams: bool) -> None:
    service = Refusing([(OVERLOADED, 0.3), (AWAY, 0.2)])
    with serving(service) as address, riverrun.Client(address, timeout_s=30) as client:
        text = "".join(client.stream("x")) if streams else client.generate("x").text
    assert text == "yes"
    first, second, third = service.at
    assert second - first >= 0.3
    assert third - second >= 0.2
    assert len(set(service.ids)) == 1


@pytest.mark.parametrize(
    ("refusals", "options", "tries"),
    [
        ([(OVERLOADED, None)], {}, 1),  # a message that is too large: never
        ([(grpc.StatusCode.INVALID_ARGUMENT, None)], {}, 1),
        ([(grpc.StatusCode.INTERNAL, None)], {}, 1),
        ([(AWAY, 0.0)] * 9, {"retries": 0}, 1),
        ([(AWAY, 0.0)] * 9, {"retries": 3}, 4),
        ([(OVERLOADED, 60.0)], {"timeout_s": 5.0}, 1),  # it would be too late anyway
    ],
)
def test_it_does_not_try_again_in_vain(
    refusals: list[Any], options: dict[str, Any], tries: int
) -> None:
    service = Refusing(list(refusals))
    with serving(service) as address, riverrun.Client(address, **options) as client:
        with pytest.raises(RequestFailed) as failed:
            client.generate("x")
        assert failed.value.code == refusals[0][0].name
    assert len(service.at) == tries


def test_a_stream_that_has_begun_is_never_begun_again() -> None:
    service = Refusing([])
    service.breaks_after_a_chunk = True
    with serving(service) as address, riverrun.Client(address) as client:
        stream = client.stream("x")
        with pytest.raises(RequestFailed, match="gone"):
            list(stream)
        with pytest.raises(InvalidValue):
            _ = stream.answer
    assert len(service.at) == 1


async def test_the_asynchronous_client_tries_again_too() -> None:
    service = Refusing([(OVERLOADED, 0.2), (AWAY, 0.1)])
    with serving(service) as address:
        async with riverrun.AsyncClient(address, token="t0ken") as client:
            assert (await client.generate("x")).text == "yes"
            assert [piece async for piece in client.stream("x")] == ["yes"]
    assert set(service.tokens) == {"Bearer t0ken"}


def test_a_server_that_comes_late_is_waited_for() -> None:
    from riverrun.workspace import free_port

    port, service = free_port(), Refusing([])
    with (
        riverrun.Client(f"127.0.0.1:{port}", retries=20, timeout_s=30) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(client.generate, "x")
        assert not threading.Event().wait(0.5)
        assert not answer.done()
        with serving(service, port):
            assert answer.result(30).text == "yes"


def test_importing_riverrun_loads_nothing_and_every_name_is_there() -> None:
    code = "import sys, riverrun; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert not loaded & {"grpc", "pydantic", "kafka", "msgspec", "torch"}
    for name in riverrun.__all__:
        assert getattr(riverrun, name) is not None
    assert set(riverrun.__all__) <= set(dir(riverrun))
    with pytest.raises(AttributeError, match="nothing"):
        _ = riverrun.nothing


def test_each_text_gets_a_receipt_of_its_own(kafka_settings: Settings) -> None:
    import msgspec

    kafka = kafka_settings.kafka
    with riverrun.Producer(
        kafka.bootstrap_servers, data_dir="/nowhere", topic_prefix=kafka.topic_prefix
    ) as producer:
        receipts = [producer.send(f"text {i}", source="diary", key="one") for i in range(3)]
        full = producer.send(
            "{ not JSON", id="7", timestamp=datetime(2026, 1, 2, tzinfo=UTC), language="en"
        )
        with pytest.raises(InvalidValue):
            producer.send("")
        with pytest.raises(InvalidValue):
            producer.send("x", timestamp=datetime(2026, 1, 2))
    assert [receipt.offset for receipt in receipts] == [0, 1, 2]
    assert len({receipt.partition for receipt in receipts}) == 1
    there = {(record.partition, record.offset): record for record in consume(kafka_settings)}
    assert len(there) == 4
    for i, receipt in enumerate(receipts):
        record = there[receipt.partition, receipt.offset]
        assert record.value == b"text %d" % i
        assert dict(record.headers) == {"source": b"diary", "content-type": b"text/plain"}
    sent = msgspec.json.decode(there[full.partition, full.offset].value)
    assert sent == {
        "text": "{ not JSON",
        "id": "7",
        "timestamp": "2026-01-02T00:00:00+00:00",
        "language": "en",
    }


def test_a_receipt_of_many_has_an_offset_a_partition(kafka_settings: Settings) -> None:
    from riverrun.client import requests
    from riverrun.produce import Record

    receipt = produce(kafka_settings, [Record(b"%d" % i) for i in range(40)])
    with pytest.raises(InvalidValue):
        _ = receipt.offset
    request = requests.answer_request("x", {"after": receipt})
    assert dict(request.version.after) == {p: at.last for p, at in receipt.partitions.items()}
