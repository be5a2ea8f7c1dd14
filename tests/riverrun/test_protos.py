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


def test_buf_finds_nothing_to_lint() -> None:
    buf = shutil.which("buf")
    if buf is None:
        pytest.skip("buf is not installed")
    found = subprocess.run([buf, "lint"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
