"""Precision and recall of each stage on the labelled set.

    python -m tests.stream.labelled.score

A stage is right when it acts (changes or rejects) on a record that is labelled with it and the
result has lost what was to go and kept what was to stay; it is wrong when it acts on another.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from stream.explain import Explanation, explain
from stream.pipeline import Pipeline
from stream.raw_record import RawRecord
from tests.stream.labelled.write import PATH

STAGES = (
    *("repair", "markup", "normalize", "boilerplate", "repeats", "whitespace"),
    *("quality", "repetition", "pii"),
)


@dataclass
class Score:
    """right and missed: records labelled with the stage. wrong: others that it acted on."""

    right: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + len(self.missed))


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in PATH.read_text().splitlines()]


def cleaned(pipeline: Pipeline, row: dict[str, Any]) -> Explanation:
    headers = {"content-type": row.get("content_type", "text/plain").encode()}
    return explain(pipeline, RawRecord("raw", 0, 0, 0, None, row["text"].encode(), headers))


def score() -> dict[str, Score]:
    """By stage."""
    pipelines = {
        name: Pipeline(StreamSettings(profile=name)) for name in ("prose", "chat", "code", "logs")
    }
    scores = {stage: Score() for stage in STAGES}
    for row in rows():
        explanation = cleaned(pipelines[row["profile"]], row)
        acted = {change.stage for change in explanation.changes}
        if explanation.rejected_by is not None:
            acted.add(explanation.rejected_by)
        for stage in STAGES:
            if stage == row["stage"]:
                if stage in acted and as_labelled(explanation, row):
                    scores[stage].right += 1
                else:
                    scores[stage].missed.append(shown(row, explanation))
            elif stage in acted:
                scores[stage].wrong.append(shown(row, explanation))
    return scores


def as_labelled(explanation: Explanation, row: dict[str, Any]) -> bool:
    result = explanation.result
    if isinstance(result, Rejection):
        return row["stage"] in ("quality", "repetition")
    return row.get("gone", "\0") not in result.text and row.get("kept", "") in result.text


def shown(row: dict[str, Any], explanation: Explanation) -> str:
    result = explanation.result
    became = result.text if isinstance(result, Document) else f"{result.reason}: {result.detail}"
    return f"{row['kind']} ({row['language']}): {row['text'][-90:]!r} -> {became[-90:]!r}"


def main() -> None:
    for name, number in sorted(Counter(row["kind"] for row in rows()).items()):
        print(f"{name:24} {number}")  # noqa: T201
    for stage, one in score().items():
        print(  # noqa: T201
            f"| `{stage}` | {one.right + len(one.missed)} | {one.precision:.3f} | {one.recall:.3f} |"
        )
        for line in one.missed[:6]:
            print("   missed", line)  # noqa: T201
        for line in one.wrong[:6]:
            print("   wrong", line)  # noqa: T201


if __name__ == "__main__":
    main()
