"""A pretraining is the learner's step over each piece once an epoch, and ends as a model."""

import threading
from pathlib import Path

import msgspec
import pytest
import torch

from learner.pretrain.corpus import freeze
from learner.pretrain.curve import Point
from learner.pretrain.plan import Plan, settle_plan
from learner.pretrain.run import Moment, Outcome, Pretraining
from riverrun.errors import CheckpointError, InvalidValue
from riverrun.model import files
from riverrun.tokenizer import Tokenizer
from tests.learner.pretrain import small
from tests.learner.pretrain.small import begun


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.shape(tmp_path_factory.mktemp("shape"))


def finished(run: Pretraining) -> Outcome:
    outcome = run.run(threading.Event(), lambda _: None)
    assert outcome is not None
    return outcome


def interrupted(run: Pretraining, after: int) -> None:
    """Asked to stop after so many steps."""
    stop = threading.Event()
    told: list[Moment] = []

    def tell(moment: Moment) -> None:
        told.append(moment)
        if len(told) == after:
            stop.set()

    assert run.run(stop, tell) is None
    assert len(told) == after


def written(output: Path) -> tuple[bytes, bytes]:
    return (output / "model.safetensors").read_bytes(), (output / "curve.jsonl").read_bytes()


def curve(output: Path) -> list[Point]:
    lines = (output / "curve.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Point) for line in lines]


@pytest.mark.parametrize("strategy", [None, "replay"])
def test_a_run_that_was_interrupted_arrives_at_the_bits_of_one_that_was_not(
    tmp_path: Path, model: Path, strategy: str | None
) -> None:
    chosen = {} if strategy is None else {"strategy": strategy, "memory_blocks": 32}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    outcome = finished(begun(whole, model, **chosen))
    for after in (1, 3, 2):
        interrupted(begun(parts, model, **chosen), after)
    assert begun(parts, model, **chosen).began_at == 6
    assert finished(begun(parts, model, **chosen)).num_steps == outcome.num_steps
    assert written(parts) == written(whole)


def test_each_piece_is_learned_once_an_epoch_and_held_out_ones_never(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tmp_path, model)
    learned: list[int] = []
    step = run._stepper.step

    def spied(state, arrivals, **rest):  # type: ignore[no-untyped-def]
        learned.extend(arrival.clean_offset for arrival in arrivals)
        return step(state, arrivals, **rest)

    monkeypatch.setattr(run._stepper, "step", spied)
    num, num_held_out = len(run.corpus), run.corpus.facts.num_held_out
    outcome = finished(run)
    assert num + num_held_out == 60
    assert num_held_out > 0
    assert sorted(learned[:num]) == sorted(learned[num:]) == list(range(num))
    assert learned[:num] != learned[num:], "another order each epoch"
    assert outcome.num_pieces == 2 * num


def test_in_order_is_as_it_came(tmp_path: Path, model: Path) -> None:
    run = begun(tmp_path, model, Plan(inputs=[], in_order=True))
    assert [run._number(i) for i in range(10)] == list(range(10))


def test_the_model_learns_and_its_curve_tells(tmp_path: Path, model: Path) -> None:
    outcome = finished(begun(tmp_path, model, Plan(inputs=[], epochs=8, held_out=0.1)))
    points = curve(tmp_path)
    assert points[0].step == 0
    assert points[-1] == outcome.last
    assert points[-1].step == outcome.num_steps
    losses = [point.held_out_loss for point in points]
    assert losses[0] == pytest.approx(5.56, abs=0.1), "of 260 tokens, none known"
    assert losses[-1] is not None
    assert losses[-1] < 3.5


def test_tokens_end_a_run_whatever_the_epochs(tmp_path: Path, model: Path) -> None:
    plan = Plan(inputs=[], epochs=None, tokens=4000, held_out=0.1)
    outcome = finished(begun(tmp_path, model, plan))
    assert 4000 <= outcome.num_tokens < 4000 + 256


def test_without_held_out_text_the_curve_has_the_trainings_loss(
    tmp_path: Path, model: Path
) -> None:
    finished(begun(tmp_path, model, Plan(inputs=[], held_out=0.0)))
    points = curve(tmp_path)
    assert {point.held_out_loss for point in points} == {None}
    assert None not in {point.training_loss for point in points[1:]}


def test_of_conversations_only_answers_count(tmp_path: Path, model: Path) -> None:
    of = [small.Piece(0, i, small.answered(i)) for i in range(20)]
    outcome = finished(begun(tmp_path, model, Plan(inputs=[], held_out=0.0), of=of))
    answers = [small.answered(i).messages[1].content for i in range(20)]  # type: ignore[index]
    assert outcome.num_tokens == sum(len(answer) + 1 for answer in answers)


def test_transformers_loads_what_was_written_and_computes_the_same(
    tmp_path: Path, model: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    finished(begun(tmp_path, model))
    ours, theirs = files.load(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    text = "the river runs to the sea"
    ids = AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"]
    assert ids == Tokenizer(tmp_path).encode(text)
    tokens = torch.tensor([ids])
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, ours(tokens), rtol=1e-4, atol=1e-4)
    assert Tokenizer(tmp_path).has_chat_template


def test_a_pretrained_model_goes_onward_and_a_fresh_one_does_not(
    tmp_path: Path, model: Path
) -> None:
    first, onward = tmp_path / "first", tmp_path / "onward"
    finished(begun(first, model, Plan(inputs=[], epochs=3, held_out=0.1)))
    finished(begun(onward, first, Plan(inputs=[], held_out=0.1)))
    # Where the processor multiplies in bfloat16, a model that goes onward does.
    last = curve(first)[-1].held_out_loss
    assert curve(onward)[0].held_out_loss == pytest.approx(last, rel=0.01)
    freeze(tmp_path / "fresh" / "training" / "corpus", small.pieces(), 0.1, {})
    plan = Plan(inputs=[], held_out=0.1)
    finished(Pretraining(small.settings(first), plan, tmp_path / "fresh", is_fresh=True))
    assert curve(tmp_path / "fresh")[0].held_out_loss == pytest.approx(5.56, abs=0.1)


def test_other_settings_on_the_same_output_are_refused_by_name(tmp_path: Path, model: Path) -> None:
    interrupted(begun(tmp_path, model), 1)
    with pytest.raises(CheckpointError, match=r"learner\.lr is 0\.003 there, 0\.01 was asked"):
        begun(tmp_path, model, lr=0.01)
    training = tmp_path / "training"
    settle_plan(training, Plan(inputs=[]))
    with pytest.raises(CheckpointError, match="epochs is 1 there, 3 was asked for"):
        settle_plan(training, Plan(inputs=[], epochs=3))


def test_a_strategy_that_needs_an_origin_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(InvalidValue, match=r"learner\.strategy"):
        begun(tmp_path, model, strategy="replay+origin", memory_blocks=32)


def test_a_corpus_that_a_disk_has_changed_is_refused(tmp_path: Path, model: Path) -> None:
    begun(tmp_path, model)
    path = tmp_path / "training" / "corpus" / "pieces.jsonl"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="is not what was written"):
        begun(tmp_path, model)
