"""What the benches of serving print and write; measuring takes minutes and is not done here."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

import bench.freshness
import bench.interference
import bench.swap
from riverrun.cli.bench import bench as group

ONE_OF = {str: "tiny", int: 7, float: 1.25}


def figures(kind: type[msgspec.Struct]) -> msgspec.Struct:
    return kind(**{field.name: ONE_OF[field.type] for field in msgspec.structs.fields(kind)})


@pytest.mark.parametrize(
    ("command", "module", "kind", "promised", "compared"),
    [
        (
            "swap",
            bench.swap,
            bench.swap.Swap,
            {"swaps", "requests", "failed", "mixed", "p99_ratio"},
            "while no version comes",
        ),
        (
            "interference",
            bench.interference,
            bench.interference.Interference,
            {"p99_ratio", "train_kept"},
            "with the learner stopped",
        ),
        (
            "freshness",
            bench.freshness,
            bench.freshness.Freshness,
            {"p50_s", "p95_s"},
            "compared with nothing else",
        ),
    ],
)
def test_figures_are_a_table_and_json_and_say_what_they_are_compared_with(
    command: str,
    module: Any,
    kind: type[msgspec.Struct],
    promised: set[str],
    compared: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "run", lambda *_: figures(kind))
    path = tmp_path / "figures.json"
    ran = CliRunner().invoke(
        group, [command, "--model", "tiny", "--json", str(path)], catch_exceptions=False
    )
    assert ran.exit_code == 0
    assert compared in ran.output
    assert promised <= set(json.loads(path.read_bytes()))


def test_windows_of_a_model_are_its_own_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bench.interference.Windows] = []

    def run(settings: Any, windows: bench.interference.Windows, tell: Any) -> msgspec.Struct:
        seen.append(windows)
        return figures(bench.interference.Interference)

    monkeypatch.setattr(bench.interference, "run", run)
    monkeypatch.setattr("riverrun.supervisor.model_fetch.fetch_model", lambda _: None)
    for arguments in (["tiny"], ["smollm2"], ["smollm2", "--seconds", "5"]):
        CliRunner().invoke(group, ["interference", "--model", *arguments], catch_exceptions=False)
    tiny, larger, told = seen
    assert tiny.seconds < larger.seconds
    assert (told.rounds, told.seconds, told.records) == (larger.rounds, 5.0, larger.records)
