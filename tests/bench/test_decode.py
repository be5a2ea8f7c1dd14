"""The bench of decoding measures, and says with which form of the weights."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from riverrun.cli.bench import bench
from riverrun.errors import InvalidValue


def test_decode_writes_each_batch_of_each_model(tmp_path: Path) -> None:
    path = tmp_path / "decode.json"
    arguments = ["decode", "--models", "tiny", "--batches", "1,2", "--rounds", "1"]
    ran = CliRunner().invoke(bench, [*arguments, "--json", str(path)], catch_exceptions=False)
    assert ran.exit_code == 0
    assert "tiny (float32)" in ran.output
    speeds = json.loads(path.read_bytes())["models"]["tiny"]
    assert set(speeds) == {"1", "2"}
    for speed in speeds.values():
        assert {"tokens_per_s", "vs_transformers", "vs_limit", "first_token_s"} <= set(speed)
        assert all(value > 0 for value in speed.values())


@pytest.mark.parametrize("batches", ["0", "x", "1,,2", "4000"])
def test_a_batch_that_is_none_is_refused(batches: str) -> None:
    with pytest.raises(InvalidValue, match="--batches"):
        CliRunner().invoke(bench, ["decode", "--batches", batches], catch_exceptions=False)
