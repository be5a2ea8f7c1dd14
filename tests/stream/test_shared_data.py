"""The two files beside the project, or in `TEST_DATA`, through the default profile."""

import gzip
import os
from pathlib import Path

import pytest

from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from stream.explain import explain
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord
from tests.stream.labelled import real_text

DATA = Path(os.environ.get("TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
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


def test_noise_that_is_put_into_real_text_goes_again_and_little_else_does() -> None:
    if not (DATA / "manpages.jsonl.gz").exists():
        pytest.skip(f"{DATA} is not there")
    records = real_text.texts(DATA)
    for name, _, num, missed in real_text.recall(records):
        assert num > 300, name
        # An address right behind the word `version` is one of our own making.
        assert len(missed) <= 0.03 * num, (name, missed[:5])
    touched = real_text.touched(records)
    assert sum(map(len, touched.values())) <= 0.002 * len(records), touched
