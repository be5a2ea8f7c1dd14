"""The two files beside the project, or in `RIVERRUN_TEST_DATA`, through the default profile."""

import gzip
import os
from pathlib import Path

import pytest

from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from stream.explain import explain
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord

DATA = Path(os.environ.get("RIVERRUN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize("name", ["changelogs", "manpages"])
def test_every_record_passes_and_every_rejection_of_prose_says_why(name: str) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    default, prose = Pipeline(StreamSettings()), Pipeline(StreamSettings(profile="prose"))
    with gzip.open(path) as lines:
        records = [
            RawRecord("raw", 0, number, NOW_MS, None, line.rstrip())
            for number, line in enumerate(lines)
        ]
    assert len(records) > 500
    for raw in records:
        assert isinstance(default.clean(raw), Document)
    stages = {name for name, _ in prose.profiles.default.stages}
    rejected = [
        found for raw in records if isinstance((found := explain(prose, raw)).result, Rejection)
    ]
    assert rejected, "prose refuses lists of bullets"
    for explanation in rejected:
        assert isinstance(explanation.result, Rejection)
        assert explanation.rejected_by in stages
        assert any(character.isdigit() for character in explanation.result.detail)
