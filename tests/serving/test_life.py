"""From the first moment to the last: health, readiness, refusals, cancellation, drain."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from riverrun.client import AsyncClient, Client
from riverrun.errors import RequestFailed, RiverrunError
from riverrun.workspace import Workspace
from serving.server import SERVICES
from tests.serving.published import Published
from tests.serving.running_server import RunningServer, held_engine, running_server, wait_for

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health(address: str) -> set[int]:
    """What all services say."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return {
            stub.Check(health_pb2.HealthCheckRequest(service=service)).status
            for service in ("", *SERVICES)
        }


def test_before_the_first_version_it_listens_says_so_and_then_serves(published: Published) -> None:
    with (
        running_server(published.root) as server,
        Client(server.address, timeout_s=30) as client,
    ):
        assert health(server.address) == {NOT_SERVING}
        assert server.record().state == "starting"
        status = client.status()
        assert (status.state, status.version, status.model) == ("loading", None, "tiny")
        with pytest.raises(RequestFailed, match="no version yet") as failed:
            client.generate("too early")
        assert (failed.value.code, failed.value.retry_after_s) == ("UNAVAILABLE", 1)
        version = published.publish(1)
        assert server.wait_ready() == server.address
        assert health(server.address) == {SERVING}
        assert client.generate("now", max_tokens=3).version.id == version
        assert client.status().state == "serving"
        assert client.status().swaps == 0


def test_a_first_version_that_is_wrong_is_refused_and_the_next_one_serves(
    published: Published,
) -> None:
    wrong = published.publish(1)
    weights = published.root / "store" / "versions" / wrong / "weights.safetensors"
    weights.write_bytes(b"not weights")
    with running_server(published.root) as server, Client(server.address) as client:
        wait_for(lambda: client.status().refused_versions == 1, "refused")
        assert health(server.address) == {NOT_SERVING}
        right = published.publish(2)
        server.wait_ready()
        assert client.generate("x", max_tokens=2).version.id == right


def test_a_server_with_no_version_stops_when_it_is_told(published: Published) -> None:
    with running_server(published.root) as server:
        assert server.address


def test_reflection_lists_every_service(server: RunningServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        (reply,) = stub.ServerReflectionInfo(iter([ask]))
    names = {service.name for service in reply.list_services_response.service}
    assert names >= {*SERVICES, "grpc.health.v1.Health"}


@pytest.mark.parametrize(
    ("symbol", "is_known"),
    [
        ("riverrun.v1.Generation", True),
        ("riverrun.v1.Generation.Complete", True),
        ("riverrun.v1.GenerateRequest", True),
        ("grpc.health.v1.Health.Check", True),
        ("riverrun.v1.Generation.Nothing", False),
        ("nothing", False),
    ],
)
def test_reflection_knows_services_methods_and_messages(
    server: RunningServer, symbol: str, is_known: bool
) -> None:
    """ghz asks for a method by its full name."""
    with grpc.insecure_channel(server.address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        (reply,) = stub.ServerReflectionInfo(iter([ask]))
    if is_known:
        assert reply.file_descriptor_response.file_descriptor_proto
    else:
        assert reply.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_draining_finishes_what_is_open_and_refuses_what_is_new(published: Published) -> None:
    version = published.publish(1)
    server = RunningServer(published.root).start()
    with Client(server.wait_ready(), timeout_s=60, retries=0) as client:
        watching = client.watch(0.01)
        assert next(watching).state == "serving"
        with held_engine():
            stream = client.stream("open", max_tokens=100)
            wait_for(lambda: client.status().load.waiting == 1, "in the queue")
            server.running.request_stop()
            wait_for(lambda: client.status().state == "draining", "draining")
            assert health(server.address) == {NOT_SERVING}
            assert server.record().state == "draining"
            with pytest.raises(RequestFailed, match="drains") as failed:
                client.generate("new")
            assert (failed.value.code, failed.value.retry_after_s) == ("UNAVAILABLE", 1)
        assert "".join(stream) == published.greedy(version, "open", 100)
        assert [status.state for status in watching][-1] == "draining"
    server.stop()
    assert server.workspace.running("serving") is None


def test_a_drain_ends_at_its_time_whatever_is_open(published: Published) -> None:
    published.publish(1)
    server = RunningServer(published.root, drain_timeout_s=0.1).start()
    with Client(server.wait_ready(), timeout_s=60, retries=0) as client, held_engine():
        stream = client.stream("open", max_tokens=100)
        wait_for(lambda: client.status().load.waiting == 1, "in the queue")
        server.running.request_stop()
        with pytest.raises(RequestFailed) as failed:
            list(stream)
        assert failed.value.code in ("CANCELLED", "UNAVAILABLE")
    server.stop()


def test_a_fault_in_the_engine_ends_the_process_with_that_fault(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.runner import Runner

    def broken(runner: Runner, batch: object) -> None:
        raise ZeroDivisionError("in the engine")

    published.publish(1)
    server = RunningServer(published.root).start()
    with Client(server.wait_ready(), timeout_s=60, retries=0) as client:
        monkeypatch.setattr(Runner, "run", broken)
        with pytest.raises(RequestFailed):
            client.generate("x")
    with pytest.raises(ZeroDivisionError, match="in the engine"):
        server.stop()


def test_watch_tells_every_change(published: Published, client: Client) -> None:
    watching = client.watch(0.01)
    first = next(watching)
    assert first.version is not None
    version = published.publish(2)
    seen = next(s for s in watching if s.version is not None and s.version.id == version)
    assert seen.swaps == 1
    assert seen.version is not None
    assert (seen.version.step, seen.version.next_offsets) == (2, {0: 20})


async def test_the_asynchronous_client_does_all_that_the_other_does(
    published: Published, server: RunningServer
) -> None:
    version = published.store.promoted()
    assert version is not None
    async with AsyncClient(server.address, timeout_s=60, retries=0) as client:
        answer = await client.generate("both", max_tokens=12)
        assert answer.text == published.greedy(version, "both", 12)
        stream = client.stream(messages=[{"role": "user", "content": "hi"}], max_tokens=5)
        assert "".join([piece async for piece in stream]) == stream.answer.text
        assert (await client.status()).load.served == 2
        async for status in client.watch(0.01):
            assert status.state == "serving"
            break
        with pytest.raises(RequestFailed, match=r"sampling\.temperature"):
            await client.generate("x", temperature=-1)


def test_the_process_finishes_an_open_stream_on_sigterm_and_forgets_its_record(
    published: Published,
) -> None:
    version = published.publish(1)
    prompts = (f"open {i}" for i in range(99))
    prompt = next(one for one in prompts if len(published.greedy_ids(version, one, 150)) == 150)
    # So slow that the stream is open when the signal comes.
    code = (
        "import sys; from pathlib import Path; from serving.main import run;"
        "from riverrun.settings import Settings;"
        "from tests.serving.running_server import slowed_engine\n"
        "with slowed_engine(0.03):"
        " run(Settings(data_dir=Path(sys.argv[1]), model='tiny', device='cpu'))"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(published.root)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        record = Workspace(published.root).wait_ready("serving", 60)
        assert record.address is not None
        assert record.metrics_port is not None
        with Client(record.address, timeout_s=60, retries=0) as client:
            stream = client.stream(prompt, max_tokens=150)
            pieces = iter(stream)
            text = next(pieces)
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: client.status().state == "draining", "draining")
            assert client.status().load.rows == 1
            text += "".join(pieces)
        assert text == published.greedy(version, prompt, 150)
        _, log = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, log
    assert "draining" in log
    assert "Traceback" not in log
    assert Workspace(published.root).record("serving") is None


def test_an_unknown_device_is_named() -> None:
    from riverrun.device import device_of

    assert device_of("cpu").type == "cpu"
    for name in ("gpu9", "cuda:99"):
        with pytest.raises(RiverrunError, match="device"):
            device_of(name)
