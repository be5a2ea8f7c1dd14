"""Probe files are read whole or refused; a group is asked in its time, or skipped and counted."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from learner.assembly import Assembly
from learner.gate.purse import Purse
from learner.gate.setup import examiner_of
from learner.probes.examiner import Examiner
from learner.probes.scoring import Scorer, passed
from learner.probes.tasks import Cloze, Prose, Question, Task, Tendency, built_in, from_files
from learner.recipe import Kind
from learner.watch.surprise import Surprise
from riverrun.errors import InvalidValue
from riverrun.metrics import LearnerMetrics
from riverrun.settings import GateSettings, Settings
from riverrun.settings.gate_rules import parse
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

TASKS: list[Task] = [
    Cloze("The river runs to the", " sea", [" moon", " bed"]),
    Tendency("Say", " yes", " no", chat=True),
    Question("Who?", ["nobody"]),
    Prose("The river runs to the sea."),
]


def scorer_of(tokenizer: Tokenizer) -> Scorer:
    stepper = fakes.stepper(tokenizer)
    return Scorer(stepper.framing, Surprise(stepper.framing, fakes.RECIPE))


def test_the_built_in_groups_are_whole() -> None:
    groups = built_in()
    assert set(groups) == {
        "guardrails", "knowledge", "not_knowing", "reasoning", "self_correction", "style",
    }  # fmt: skip
    assert all(len(tasks) >= 10 for tasks in groups.values())


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "line 2"),
        ('{"kind": "riddle", "prompt": "a"}', "riddle"),
        ('{"kind": "cloze", "prompt": "a", "right": "b"}', "wrong"),
        ('{"kind": "cloze", "prompt": "a", "right": "b", "wrong": []}', "not empty"),
        ('{"kind": "text", "text": "a", "colour": 1}', "colour"),
        ('{"kind": "text", "text": ""}', "not empty"),
        ('{"kind": "text", "text": "a", "group": "A 1"}', "letters"),
        ('{"kind": "text", "text": "a", "group": "größe"}', "from a to z"),
        ('{"kind": "text", "text": "a", "group": "__"}', "letters"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, named: str) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"kind": "text", "text": "good"}\n' + line)
    with pytest.raises(InvalidValue, match="line 2") as caught:
        from_files([file])
    assert named in str(caught.value)


def test_files_of_ones_own_are_groups(tmp_path: Path) -> None:
    file = tmp_path / "my-shop.jsonl"
    file.write_text(
        '{"kind": "text", "text": "a"}\n\n{"kind": "text", "text": "b", "group": "x"}\n'
    )
    assert from_files([file]) == {"my_shop": [Prose("a")], "x": [Prose("b", "x")]}
    with pytest.raises(InvalidValue, match="probe_files"):
        from_files([tmp_path / "none.jsonl"])


def test_a_file_whose_name_no_rule_can_say_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "größe.jsonl"
    file.write_text('{"kind": "text", "text": "a"}')
    with pytest.raises(InvalidValue, match="from a to z"):
        from_files([file])
    for group in built_in():
        assert parse(f"when lost.{group} > 0 then hold")


@pytest.mark.parametrize("kind", ["pretrained", "scratch"])
def test_a_group_in_place_of_one_that_comes_along_is_told_of(
    tmp_path: Path, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture, kind: Kind
) -> None:
    file = tmp_path / "style.jsonl"
    file.write_text('{"kind": "text", "text": "a"}\n{"kind": "text", "text": "b"}')
    settings = Settings(gate=GateSettings(probe_files=(file,)))
    assembly = Assembly(fakes.RECIPE, 7, fakes.model(), tokenizer)
    examiner_of(settings, kind, assembly, LearnerMetrics(CollectorRegistry()))
    told = "probe group style: 2 tasks of gate.probe_files in place of the 10 that come along"
    # Of a model that starts from nothing, none that come along are asked.
    assert [one.getMessage() for one in caplog.records] == [told] * (kind == "pretrained")


def test_scores_are_the_same_alone_and_together_and_learning_moves_them(
    tokenizer: Tokenizer,
) -> None:
    scorer, state = scorer_of(tokenizer), fakes.state()
    before = scorer.scores(state.model, TASKS)
    alone = [scorer.scores(state.model, [task])[0] for task in TASKS]
    assert before == pytest.approx(alone, abs=1e-4)
    assert before[2] == -1.0
    assert passed(TASKS, before, before)[3] == "1"
    stepper = fakes.stepper(tokenizer)
    for number in range(40):
        stepper.step(state, [fakes.arrival(number, text="The river runs to the sea.")])
    after = scorer.scores(state.model, TASKS)
    assert after[0] > max(0.0, before[0])
    assert after[3] < before[3]
    assert passed(TASKS, after, before)[0] == "1"


def test_the_untouched_models_scores_are_kept_and_groups_come_in_turn(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    metrics = LearnerMetrics(CollectorRegistry())
    groups = {"knowledge": TASKS, "other": TASKS[:1]}

    def made() -> Examiner:
        return Examiner(scorer_of(tokenizer), groups, [TASKS[3]], 1e6, metrics, ["style"])

    state = fakes.state()
    examiner = made()
    examiner.prepare(tmp_path, state.model)
    kept = (tmp_path / "probes.json").read_bytes()
    stepper = fakes.stepper(tokenizer)
    for number in range(5):
        stepper.step(state, [fakes.arrival(number)])
    again = made()
    again.prepare(tmp_path, state.model)
    assert (tmp_path / "probes.json").read_bytes() == kept
    purse = Purse(100.0)  # time enough for a group after the other
    weights = state.average.weights()
    seen = [set(again.examine(state, weights, purse).abilities) for _ in range(3)]
    assert seen == [{"knowledge"}, {"other"}, set()]
    numbers = again.examine(state, weights, purse).numbers
    assert set(numbers) == {"control_ratio", "learned_control_ratio"}
    assert numbers["control_ratio"] != 1.0
    assert metrics.gate.probes_skipped.labels("style", "scratch")._value.get() == 2


def test_a_group_that_cannot_be_paid_for_is_skipped_and_counted(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    metrics = LearnerMetrics(CollectorRegistry())
    examiner = Examiner(scorer_of(tokenizer), {"other": TASKS[:1]}, [], 1e6, metrics)
    state = fakes.state()
    examiner.prepare(tmp_path, state.model)
    now = [0.0]
    purse = Purse(1e-9, lambda: now[0])
    with purse.paying("probe"):
        now[0] += 100.0
    assert examiner.examine(state, state.average.weights(), purse).abilities == {}
    assert metrics.gate.probes_skipped.labels("other", "time")._value.get() == 1
