"""A step that is not finite changes no weight, and only the documents at fault stay away."""

import math

import msgspec
import pytest
import torch

from learner.state import State
from learner.watch.non_finite import MAX_RECORDS, Skipped, Suspect, blame, note
from riverrun.model.decoder import Decoder
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

NAN = math.nan
SUSPECTS = [Suspect("a", 0, 10), Suspect("b", 1, 20)]


def poisoned_state() -> State:
    """Its model makes NaN of every text with a `Z`, and of no other."""
    model = Decoder(msgspec.structs.replace(fakes.SMALL, tie_embeddings=False))
    model.initialise(torch.Generator().manual_seed(1))
    with torch.no_grad():
        model.model.embed_tokens.weight[ord("Z")] = NAN
    return State(model, fakes.RECIPE)


def test_only_the_document_at_fault_is_retired(tokenizer: Tokenizer) -> None:
    state, stepper = poisoned_state(), fakes.stepper(tokenizer)
    texts = ["a good text", "a bad Z text", "another good one"]
    report = stepper.step(state, [fakes.arrival(i, text=t) for i, t in enumerate(texts)])
    assert report is not None
    assert report.skipped is not None
    assert not report.is_finite
    assert report.retired == {"non_finite": 1}
    assert report.skipped.cause == "documents"
    assert report.skipped.documents == [Suspect("s1", 0, 2)]
    assert state.progress.non_finite == [report.skipped]
    assert "s1 0:2" in report.skipped.describe()
    finding = next(f for f in report.findings if f.kind == "non_finite")
    assert (finding.subject, finding.numbers["raw_offset"]) == ("s1", 2.0)
    assert [due.text for due in state.rehearsal.documents()] == [texts[0], texts[2]]
    while len(state.rehearsal):
        again = stepper.step(state, [])
        assert again is not None
        assert again.is_finite
        assert math.isfinite(again.loss)


def test_a_due_document_that_turns_bad_keeps_its_offset_and_leaves(tokenizer: Tokenizer) -> None:
    state, stepper = fakes.state(), fakes.stepper(tokenizer)
    assert stepper.step(state, [fakes.arrival(4, text="no letter here")]) is not None
    with torch.no_grad():
        state.model.model.norm.weight[0] = NAN
    report = stepper.step(state, [])
    assert report is not None
    assert report.skipped is not None
    # The memory holds the same text: so the weights are to blame, and it stays due.
    assert report.skipped.cause == "weights"
    assert report.skipped.documents == [Suspect("s0", 0, 8)]
    assert len(state.rehearsal) == 1
    restored = msgspec.json.decode(msgspec.json.encode(state.progress), type=type(state.progress))
    assert restored == state.progress


@pytest.mark.parametrize(
    ("alone", "memory", "cause", "retired"),
    [
        ([1.0, NAN], 0.0, "documents", {1}),
        ([NAN, NAN], 0.0, "weights", set()),
        ([NAN], 0.0, "documents", {0}),
        ([NAN, 1.0], NAN, "weights", set()),
        ([1.0, 1.0], 1.0, "gradient", {0, 1}),
        ([math.inf, 1.0], 1.0, "documents", {0}),
    ],
)
def test_blame(alone: list[float], memory: float, cause: str, retired: set[int]) -> None:
    skipped = blame(7, SUSPECTS[: len(alone)], alone, memory)
    assert (skipped.cause, skipped.retired) == (cause, retired)
    assert skipped.findings()


def test_the_record_is_bounded_and_keeps_the_newest() -> None:
    records: list[Skipped] = []
    for step in range(MAX_RECORDS + 5):
        note(records, blame(step, SUSPECTS, [1.0, 1.0], 0.0))
    assert [one.step for one in records] == list(range(5, MAX_RECORDS + 5))
