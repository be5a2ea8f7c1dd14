"""What operators write, as commands; and what `undo --dry-run` tells people.

The learner's side of it is in tests/learner/control and tests/system.
"""

from typing import Any

import pytest

from learner.undo.plan import Plan
from riverrun.cli import main
from riverrun.commands import Command
from riverrun.records import LeftOut, VersionEvent

PLAN = Plan(
    left_out=[
        LeftOut(partition=0, first=3, last=17, source="news"),
        LeftOut(partition=2, first=5, last=5, source="news"),
    ],
    num_documents=1_204,
    first_step=41,
    last_step=3_100,
    base_step=40,
    num_steps=3_060,
    seconds=1_234.4,
    goes=["ab-41", "ab-42", "ab-43"],
    serve="ab-40",
    quarantine=["news"],
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """The commands that were sent; each is answered with its own kind of event."""
    sent: list[Command] = []

    def tell(_settings: object, command: Command, _wait_s: float) -> VersionEvent:
        sent.append(command)
        return VersionEvent(
            kind="source_released" if command.kind == "release_source" else "promoted",
            version="ab-44",
            parent=None,
            step=44,
            reason="as it was told",
            at_ms=0,
            offsets={},
            metrics={},
            command=command.id,
            subject=command.source,
        )

    monkeypatch.setattr("riverrun.tell.tell", tell)
    return sent


def test_release_names_the_source_and_tell_release_none(
    told: list[Command], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["release", "news", "--reason", "mended", "--id", "r1"]) == 0
    assert capsys.readouterr().out == "source_released news: ab-44 (as it was told)\n"
    assert main(["tell", "release"]) == 0
    assert capsys.readouterr().out == "promoted: ab-44 (as it was told)\n"
    assert [(one.kind, one.source) for one in told] == [
        ("release_source", "news"),
        ("release", None),
    ]
    assert (told[0].id, told[0].reason) == ("r1", "mended")
    assert main(["release"]) == 2
    assert "Missing argument 'SOURCE'" in capsys.readouterr().err


def planned(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> list[tuple[Any, ...]]:
    """What was asked of the planner, which answers with `plan`."""
    asked: list[tuple[Any, ...]] = []

    def plan_beside(_settings: object, *what: Any) -> Plan:
        asked.append(what)
        return plan

    monkeypatch.setattr("learner.undo.dry_run.plan_beside", plan_beside)
    return asked


def test_a_dry_run_tells_people_what_it_takes_and_sends_nothing(
    told: list[Command], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = planned(monkeypatch, PLAN)
    assert main(["undo", "--source", "news", "--dry-run"]) == 0
    assert asked == [([], "news", None)]
    assert told == []
    assert capsys.readouterr().out.splitlines() == [
        "1,204 documents would be undone:",
        "  raw 0 @ 3-17 of news",
        "  raw 2 @ 5-5 of news",
        "They were learned from step 41 on. From the checkpoint of step 40, at most 3,060 steps "
        "are done again (about 1,234 s), up to step 3,100.",
        "3 versions saw some of it: ab-41 to ab-43.",
        "Meanwhile serving would go back to ab-40.",
        "news would be in quarantine until `riverrun release news`.",
    ]


def test_a_dry_run_says_what_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        left_out=[LeftOut(partition=0, first=1, last=2)],
        num_documents=2,
        first_step=1,
        last_step=3,
        base_step=0,
        num_steps=3,
        seconds=None,
        goes=["ab-1"],
        serve=None,
    )
    asked = planned(monkeypatch, plan)
    words = ["--partition", "0", "--from", "1", "--to", "2", "--dry-run"]
    assert main(["undo", *words]) == 0
    assert asked == [([LeftOut(partition=0, first=1, last=2)], None, None)]
    assert capsys.readouterr().out.splitlines() == [
        "2 documents would be undone:",
        "  raw 0 @ 1-2",
        "They were learned from step 1 on. From the untouched model, at most 3 steps are done "
        "again (no step was timed yet), up to step 3.",
        "1 version saw some of it: ab-1.",
        "No version from before still has weights: serving would stay where it is.",
    ]
