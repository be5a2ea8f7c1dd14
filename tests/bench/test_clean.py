"""`bench clean` on few records: that it measures what it says, not how fast that is."""

import os
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench.clean
from bench.clean_desk import compare
from bench.clean_records import prose
from riverrun.errors import RiverrunError


@pytest.mark.timeout(240)
@pytest.mark.parametrize("what", ["bare faust", "two workers"])
def test_a_round_ends_when_all_records_are_through_clean_or_rejected(
    what: str, kafka: str, tmp_path: Path
) -> None:
    values = prose(300) + [b"\xff"] * 50
    broker = SimpleNamespace(address=kafka, pid=os.getpid())
    prefix = f"b{uuid.uuid4().hex[:8]}-"
    one = bench.clean._round(tmp_path, broker, prefix, what, values)
    assert one.what == what
    assert one.records_per_s > 0


def test_a_worker_that_ends_early_is_told_with_its_last_words(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.clean, "WORKER", "raise SystemExit('no such river')")
    broker = SimpleNamespace(address=kafka, pid=os.getpid())
    with pytest.raises(RiverrunError, match="no such river"):
        bench.clean._round(tmp_path, broker, f"b{uuid.uuid4().hex[:8]}-", "one worker", [b"a"])


def test_at_the_desk_both_clean_the_same_records() -> None:
    pytest.importorskip("datatrove", reason="datatrove is not installed (riverrun[bench])")
    desk = compare(prose(40), lambda _: None)
    assert desk.absent is None
    assert desk.ratio is not None
