"""What is set before torch is loaded."""

import os
import subprocess
import sys

import pytest

from riverrun.environment import prepare_to_learn


def test_what_the_operator_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    prepare_to_learn()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
    assert os.environ.pop("LRU_CACHE_CAPACITY") == "64"


@pytest.mark.parametrize(
    "module", ["learner.main", "riverrun.cli.verify", "riverrun.cli.pretrain", "riverrun.cli.bench"]
)
def test_no_program_that_learns_loads_torch_before_it_can_prepare(module: str) -> None:
    show = f"import sys, {module}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", show], check=True)
