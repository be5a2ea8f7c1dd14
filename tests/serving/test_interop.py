"""Clients that are not ours: by reflection (buf curl, grpcurl, ghz), generated (Go), loaded (Node).

grpcurl and ghz run where they are installed. The Go client is generated and built where there is
Go and its modules can be had. The Node client needs its two packages:

    npm install --prefix DIRECTORY @grpc/grpc-js @grpc/proto-loader
    TEST_NODE_MODULES=DIRECTORY/node_modules pytest tests/serving/test_interop.py
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.load import run_ghz
from tests.serving.published import Published
from tests.serving.running_server import RunningServer

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
GO_CLIENT = Path(__file__).parent / "interop" / "go_client"
CLIENT_JS = Path(__file__).parent / "interop" / "client.js"
SERVICES = ("Generation", "Model", "Feedback", "Admin")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def right_answer(published: Published) -> tuple[str, str]:
    version = published.store.promoted()
    assert version is not None
    return version, published.greedy(version, "the river", 8)


def test_buf_curl_calls_by_reflection(published: Published, server: RunningServer) -> None:
    version, text = right_answer(published)
    url = f"http://{server.address}/riverrun.v1.Generation/Complete"
    how = ("curl", "--protocol", "grpc", "--http2-prior-knowledge")
    data = '{"prompt": "the river", "max_tokens": 8}'
    said: Any = json.loads(run(str(BUF), *how, "-d", data, url))
    assert (said["text"], said["final"]["version"]["id"]) == (text, version)
    bad = subprocess.run(
        [str(BUF), *how, "-d", '{"prompt": "x", "sampling": {"temperature": -1}}', url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    refused: Any = json.loads(bad.stderr)
    assert refused["code"] == "invalid_argument"
    kinds = {detail["type"] for detail in refused["details"]}
    assert kinds == {"google.rpc.ErrorInfo", "google.rpc.BadRequest"}


def test_grpcurl_lists_and_calls_by_reflection(published: Published, server: RunningServer) -> None:
    grpcurl = program("grpcurl")
    listed = run(grpcurl, "-plaintext", server.address, "list").split()
    assert {f"riverrun.v1.{name}" for name in SERVICES} <= set(listed)
    version, text = right_answer(published)
    data = '{"prompt": "the river", "max_tokens": 8}'
    call = ("-plaintext", "-d", data, server.address, "riverrun.v1.Generation/Complete")
    said: Any = json.loads(run(grpcurl, *call))
    assert (said["text"], said["final"]["version"]["id"]) == (text, version)


def test_ghz_drives_the_load_bench_by_reflection(server: RunningServer) -> None:
    program("ghz")
    found = run_ghz(server.address, seconds=1.0, max_tokens=4)
    assert found is not None
    assert found.requests_per_s > 0
    assert 0 < found.p50_s <= found.p99_s


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built on what the protos give; 40 s of a core where nothing was built before."""
    go = program("go")
    directory = tmp_path_factory.mktemp("go") / "client"
    shutil.copytree(GO_CLIENT, directory)
    env = {**os.environ, "GOBIN": str(directory / "bin"), "GOTOOLCHAIN": "local"}

    def build(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=directory, env=env, capture_output=True, text=True, timeout=250
        )

    fetched = build(go, "mod", "download")
    if fetched.returncode:
        pytest.skip(f"the Go client's modules are not to be had: {fetched.stderr[-200:].strip()}")
    protos = sorted((ROOT / "protos").rglob("*.proto"))
    arguments = [f"-I{ROOT / 'protos'}", *map(str, protos)]
    for plugin in ("go", "go-grpc"):
        arguments += [
            f"--plugin=protoc-gen-{plugin}={directory / 'bin' / f'protoc-gen-{plugin}'}",
            f"--{plugin}_out={directory}",
            f"--{plugin}_opt=paths=source_relative",
        ]
        for proto in protos:
            name = proto.relative_to(ROOT / "protos")
            arguments.append(f"--{plugin}_opt=M{name}=riverrun.test/client/{name.parent}")
    for command in (
        (go, "install", "tool"),
        (sys.executable, "-m", "grpc_tools.protoc", *arguments),
        (go, "build", "-o", "client", "."),
    ):
        built = build(*command)
        assert built.returncode == 0, built.stdout + built.stderr
    return directory / "client"


@pytest.mark.timeout(600)
def test_a_generated_client_in_go_gets_the_same(
    published: Published, go_client: Path, server: RunningServer
) -> None:
    version, text = right_answer(published)
    said: Any = json.loads(run(str(go_client), server.address, "the river"))
    assert (said["text"], said["version"], said["scoredBy"]) == (text, version, version)
    assert said["requestId"]
    logprobs = published.logprobs(version, published.tokenizer.encode("the river"))
    assert said["logLikelihood"] == pytest.approx(sum(logprobs), rel=1e-4)
    assert said["refused"] == {
        "code": "InvalidArgument",
        "reason": "INVALID_FIELD",
        "field": "sampling.temperature",
    }


def test_a_client_in_node_that_loads_the_protos_gets_the_same(
    published: Published, server: RunningServer
) -> None:
    modules = os.environ.get("TEST_NODE_MODULES")
    if modules is None:
        pytest.skip("TEST_NODE_MODULES names no @grpc/grpc-js and @grpc/proto-loader")
    version, text = right_answer(published)
    arguments = (str(CLIENT_JS), server.address, str(ROOT / "protos"), "the river")
    env = {**os.environ, "NODE_PATH": modules}
    said: Any = json.loads(run(program("node"), *arguments, env=env))
    assert (said["text"], said["version"]) == (text, version)
    assert said["requestId"]
    assert said["refused"]["code"] == 3
    assert "sampling.temperature" in said["refused"]["details"]
