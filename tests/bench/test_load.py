"""What `bench load` tells of requests that are refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

import bench.load
from bench.load import Figures, Load, figures_of
from bench.streams import Ask, Seen, Streams
from riverrun.cli.bench import bench as group
from riverrun.client import AsyncClient
from riverrun.errors import RequestFailed


class Refusing:
    """A client whose every request ends with this code, before any answer."""

    def __init__(self, code: str) -> None:
        self._code = code

    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[str]:
        raise RequestFailed(self._code, "no")
        yield ""


async def seen_of(code: str) -> Seen:
    streams = Streams(cast(AsyncClient, Refusing(code)), Ask())
    await streams.at_rate(1000.0, 0.01)
    await streams.stop()
    return streams.seen


async def test_a_refusal_has_its_time_and_another_failure_has_none() -> None:
    refused = await seen_of("RESOURCE_EXHAUSTED")
    assert (refused.refused, refused.failed, refused.total_s) == (10, {}, [])
    assert all(0 < one < 10 for one in refused.refusals_s)
    failed = await seen_of("UNAVAILABLE")
    assert (failed.refusals_s, failed.failed) == ([], {"UNAVAILABLE": 10})


def test_load_prints_and_writes_how_soon_it_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals_s = [i / 10_000 for i in range(1, 101)]
    some = figures_of(Seen(refusals_s=refusals_s), 1.0)
    assert (some.refused, some.refused_p50_s, some.refused_p99_s) == (100, 0.005, 0.0099)
    none = figures_of(Seen(), 1.0)
    assert (none.refused, none.refused_p50_s, none.refused_p99_s) == (0, None, None)

    def run(*_: Any, tell: Any, **__: Any) -> Load:
        tell("1.2 of capacity", some)
        tell("0.5 of capacity", none)
        return load_of({"1.2": some, "0.5": none})

    monkeypatch.setattr(bench.load, "run", run)
    path = tmp_path / "figures.json"
    arguments = ["load", "--address", "nowhere:1", "--json", str(path)]
    ran = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    lines = ran.output.splitlines()
    assert lines[1].split()[-5:] == ["100", "5.0", "/", "9.9", "0"]
    assert lines[2].split()[-5:] == ["0", "-", "/", "-", "0"]
    written = json.loads(path.read_bytes())["open"]
    assert written["1.2"]["refused_p99_s"] == 0.0099
    assert written["0.5"]["refused_p99_s"] is None


def load_of(open_: dict[str, Figures]) -> Load:
    return Load(
        model="tiny",
        max_tokens=48,
        seconds=1.0,
        capacity_requests_per_s=1.0,
        closed={},
        open=open_,
        ghz=None,
    )
