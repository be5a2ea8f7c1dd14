"""The committed interface code is what the protos give, and the protos are as buf wants them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOS = sorted((ROOT / "protos").rglob("*.proto"))


def test_the_committed_code_is_generated_from_the_protos(tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", *outputs, *PROTOS],
        check=True,
    )
    made = {path.name: path.read_text() for path in (tmp_path / "riverrun" / "v1").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "riverrun" / "v1").glob("*_pb2*")}
    assert made.keys() == committed.keys(), "run `make protos`"
    for name in made:
        assert made[name] == committed[name], f"{name} is stale: run `make protos`"


def buf(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = shutil.which("buf")
    if program is None:
        pytest.skip("buf is not installed")
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True)


def test_the_protos_break_no_client_of_the_released_ones() -> None:
    found = buf("breaking", "--against", "protos/released.binpb")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("string prompt = 1;", "string prompt = 9;"),
        ("uint32 max_tokens = 4;", "string max_tokens = 4;"),
        ("rpc CountTokens(CountTokensRequest) returns (CountTokensResponse);", ""),
        ("FINISH_REASON_STOP = 3;", "FINISH_REASON_STOPPED = 3;"),
    ],
)
def test_a_change_that_breaks_clients_fails_the_check(
    tmp_path: Path, before: str, after: str
) -> None:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    proto = tmp_path / "protos" / "riverrun" / "v1" / "generation.proto"
    text = proto.read_text()
    assert before in text
    proto.write_text(text.replace(before, after))
    against = ("breaking", "--against", str(ROOT / "protos" / "released.binpb"))
    found = buf(*against, cwd=tmp_path)
    assert found.returncode == 100, found.stdout + found.stderr
    assert "generation.proto" in found.stdout


def test_make_check_holds_the_protos_against_the_released_ones() -> None:
    check = (ROOT / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
    assert "buf breaking --against protos/released.binpb" in check


def test_buf_finds_nothing_to_lint() -> None:
    found = buf("lint")
    assert found.returncode == 0, found.stdout + found.stderr
