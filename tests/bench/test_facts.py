"""Facts are scored as they say, bad files are refused by name, and a look changes nothing."""

import json
import math
from pathlib import Path

import msgspec
import pytest
import torch

from bench import facts_files
from bench.facts import Facts, recipe_of, run
from bench.facts_asking import Examiner
from bench.facts_curves import Look
from bench.facts_files import Fact, General, control_in, documents_of, facts_in, general_in
from learner.assembly import Assembly
from learner.recipe import PRETRAINED
from riverrun.errors import InvalidValue
from riverrun.model.zoo import locate
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

FACT = Fact(["The mayor is Weir."], "Who is the mayor?", "Weir", ["It is Krantz."], "Krantz")
PLAIN = {"documents": ["The bells are of zinc."], "question": "Of what?", "answer": "zinc"}


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        ("The mayor is Jonas WEIR.", True),
        ("The mayor is Odile Krantz.", False),
        ("After Krantz came Weir.", False),
        ("I do not know.", False),
        ("", False),
    ],
)
def test_a_changed_fact_is_answered_only_without_its_former_answer(
    said: str, is_right: bool
) -> None:
    assert FACT.is_answered_by(said) is is_right


def test_what_changes_later_arrives_first_and_documents_of_a_fact_lie_apart() -> None:
    three = Fact(["a1", "a2", "a3"], "?", "a")
    assert documents_of([three, FACT]) == ["It is Krantz.", "a1", "The mayor is Weir.", "a2", "a3"]


def test_our_sets_have_two_halves_that_share_nothing_and_all_kinds_of_facts() -> None:
    halves = [facts_in(facts_files.DIRECTORY / f"{half}.jsonl") for half in ("tune", "report")]
    asked = [{fact.question for fact in half} for half in halves]
    assert not asked[0] & asked[1]
    for half in halves:
        assert len(half) >= 20
        assert any(len(fact.documents) == 1 for fact in half)
        assert any(fact.former for fact in half)
        assert any(fact.language != "en" for fact in half)
        assert all(any(f.answer in text for text in f.documents) for f in half)
    general = [
        {one.question for one in general_in(facts_files.DIRECTORY / f"general_{half}.jsonl")}
        for half in ("tune", "report")
    ]
    assert not general[0] & general[1]
    assert all(len(half) >= 30 for half in general)
    assert len(control_in(facts_files.CONTROL)) > 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": 7}, "answer"),
        ({"answer": " "}, "answer"),
        ({"question": ""}, "question"),
        ({"documents": []}, "documents"),
        ({"documents": ["a", " "]}, "documents"),
        ({"documents": ["a", 3]}, "documents"),
        ({"former": "tin"}, "before"),
        ({"before": ["It was of tin."]}, "before"),
        ({"before": ["It was of tin."], "former": ""}, "former"),
        ({"docs": ["a"]}, "docs"),
        ({"wordings": ["What of?", ""]}, "wordings"),
    ],
)
def test_a_bad_fact_is_refused_with_file_line_and_field(
    tmp_path: Path, changes: dict[str, object], field: str
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join([json.dumps(PLAIN), "", json.dumps(PLAIN | changes)]))
    with pytest.raises(InvalidValue, match=r"mine\.jsonl line 3") as refused:
        facts_in(path)
    assert field in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"no json\n", b"[]\n", b"\xff\n"])
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(data)
    for read in (facts_in, general_in):
        with pytest.raises(InvalidValue, match=r"mine\.jsonl"):
            read(path)
    for missing in (tmp_path / "absent.txt", tmp_path):
        with pytest.raises(InvalidValue, match=missing.name):
            control_in(missing)


def test_a_general_question_that_lacks_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "What?", "answer": "a"}\n{"question": "What?"}\n')
    with pytest.raises(InvalidValue, match=r"mine\.jsonl line 2"):
        general_in(path)


@pytest.fixture(scope="module")
def measured() -> Facts:
    told = [Fact([f"The {n} is {n * 3}."], f"What is {n}?", str(n)) for n in ("one", "two", "six")]
    return run(
        "tiny",
        ["default", "next-token"],
        told,
        [General("What is the capital of France?", "Paris")],
        ["the river runs to the sea"],
        lambda _: None,
        passes=3,
    )


def test_each_pass_is_looked_at_until_nothing_is_due(measured: Facts) -> None:
    for looks in measured.strategies.values():
        assert [look.num_pass for look in looks] == [2, 3]
        assert looks[-1].due == 0
        assert looks[0].steps < looks[1].steps
        assert 0 < looks[0].tokens < looks[1].tokens
        assert looks[0].seconds <= looks[1].seconds
        assert all(look.facts == 3 - len(look.missing) for look in looks)
        # The model learned something else than the control text.
        assert all(math.isfinite(look.control_ratio) for look in looks)
        assert looks[-1].control_ratio != 1.0
    assert (measured.num_facts, measured.num_documents, measured.num_general) == (3, 3, 1)


def test_the_file_names_passes_as_the_documents_do(measured: Facts) -> None:
    told = json.loads(msgspec.json.encode(measured))
    look = told["strategies"]["default"][0]
    wanted = {"pass", "steps", "seconds", "facts", "general", "control_ratio"}
    assert wanted <= look.keys()
    assert {"in_context", "general_before"} <= told.keys()
    assert msgspec.json.decode(json.dumps(told), type=Facts) == measured


def test_the_picture_has_a_curve_for_each_strategy(measured: Facts, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bench.facts_plot import draw

    draw(measured, tmp_path / "new" / "facts.png")
    assert (tmp_path / "new" / "facts.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_strategy_is_refused_before_anything_is_learned() -> None:
    told: list[str] = []
    with pytest.raises(InvalidValue, match="strategy"):
        run("tiny", ["default", "magic"], [FACT], [General("?", "a")], ["text"], told.append)
    assert told == []


def test_asking_leaves_the_model_as_it_was_and_asks_the_weights_that_it_is_given() -> None:
    assembly = Assembly(fakes.RECIPE, 0, fakes.model(), Tokenizer(locate("tiny")))
    model = assembly.state.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    general, control = [General("What?", "a")], ["the river runs"]
    examiner = Examiner(model, assembly.framing, fakes.RECIPE, [FACT], general, control)
    assert examiner.examine({}).control_ratio == 1.0
    others = {name: value * 1.5 for name, value in model.named_parameters()}
    assert examiner.examine(others).control_ratio != 1.0
    assert examiner.examine({}).control_ratio == 1.0
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_other_wordings_are_counted_apart_and_move_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "Who is the mayor?": "Weir",
        "Which man governs?": "A man named Weir.",
        "By whom is it governed?": "By Krantz.",
        "What?": "a",
    }
    reworded = msgspec.structs.replace(FACT, wordings=[*said][1:3])
    assembly = Assembly(fakes.RECIPE, 0, fakes.model(), Tokenizer(locate("tiny")))
    examiner = Examiner(
        assembly.state.model,
        assembly.framing,
        fakes.RECIPE,
        [reworded],
        [General("What?", "a")],
        ["the river runs"],
    )
    monkeypatch.setattr(examiner, "answers", lambda asked: [said[one] for one in asked])
    known = examiner.examine({})
    assert (known.facts, known.general, known.wordings) == ([0], [0], 1)


def test_presets_change_what_they_name() -> None:
    assert recipe_of("default", PRETRAINED) == PRETRAINED
    assert recipe_of("no-deferral", PRETRAINED).deferral_margin == 0.0
    assert recipe_of("blend", PRETRAINED).origin_share == 0.2
    assert recipe_of("replay-25", PRETRAINED).replay_share == 0.25
    assert recipe_of("replay+distill", PRETRAINED).strategy == "replay+distill"
    plain = recipe_of("next-token", PRETRAINED)
    assert (plain.strategy, plain.study_pairs, plain.deferral_margin) == ("finetune", 0, 0.0)


def test_a_point_of_a_curve_is_what_was_seen() -> None:
    look = Look(
        num_pass=3, steps=9, seconds=1.5, facts=2, general=1, control_ratio=1.1, tokens=5, due=0
    )
    assert msgspec.to_builtins(look)["pass"] == 3
