"""The questions of a step: what they cost, when they are written, asked again and struck out."""

import msgspec
import pytest
import torch

from learner.framing import Framing
from learner.notebook import FIRST_INTERVAL, Notebook
from learner.rehearsal import NEVER_ASKED
from learner.state import State
from learner.step import Stepper
from learner.study import Student
from learner.study_pair import Pair
from riverrun.model.decoder import Decoder
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE

NEVER_KNOWN = msgspec.structs.replace(
    RECIPE,
    framings=("plain", "study"),
    study_pairs=1,
    max_passes=9,
    target_loss=0.0,
    block_tokens=256,
    row_tokens=256,
)
"""One question a pass, and whatever was learned stays due."""


def test_the_cost_of_an_answer_is_that_of_its_dearest_token(tokenizer: Tokenizer) -> None:
    """Each question's own, whatever else is in the step, and however the step is cut up."""
    pairs = [Pair(f"Question {i}?", f"Answer number {i} is long.") for i in range(3)]
    for chunk_tokens in (64, 16_384):
        recipe = msgspec.structs.replace(
            RECIPE,
            framings=("plain", "study"),
            study_pairs=2,
            chunk_tokens=chunk_tokens,
            block_tokens=256,
            row_tokens=256,
            lr=0.0,
        )
        state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
        texts = ("the river", "the sea and the land")
        stepper.step(state, [fakes.arrival(i, text=text) for i, text in enumerate(texts)])
        for due in state.rehearsal.documents():
            due.pairs = list(pairs)
        stepper.step(state, [])
        framing = Framing(tokenizer, recipe.framings, recipe.block_tokens)
        for due in state.rehearsal.documents():
            asked = [i for i, cost in enumerate(due.costs) if cost != NEVER_ASKED]
            assert len(asked) == 2
            for i in asked:
                example = framing.answered(pairs[i])
                tokens = torch.tensor([[*framing.prefix, *example.tokens]])
                first = len(framing.prefix) + example.first_target
                with torch.no_grad():
                    nats = torch.nn.functional.cross_entropy(
                        state.model(tokens)[0, first - 1 : -1], tokens[0, first:], reduction="none"
                    )
                assert due.costs[i] == pytest.approx(float(nats.max()), rel=1e-4)


def recalling(tokenizer: Tokenizer) -> tuple[State, Stepper]:
    """A state whose one document was learned by its questions, and is due no more."""
    recipe = msgspec.structs.replace(
        RECIPE,
        strategy="finetune",
        framings=("plain", "study"),
        study_pairs=1,
        recall_share=0.5,
        max_passes=2,
    )
    state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
    stepper.step(state, [fakes.arrival(0, text="the river")])
    pairs = [Pair(f"Is it {i}?", f"It is {i}.") for i in range(9)]
    for due in state.rehearsal.documents():
        due.pairs = list(pairs)
    stepper.step(state, [])
    assert len(state.rehearsal) == 0
    assert len(state.notebook) == len(pairs)
    # Until they may be asked again.
    state.progress.step += FIRST_INTERVAL
    return state, stepper


def test_questions_of_documents_that_are_due_no_more_come_again(tokenizer: Tokenizer) -> None:
    state, stepper = recalling(tokenizer)
    report = stepper.step(state, [fakes.arrival(1, text="a"), fakes.arrival(2, text="b")])
    assert report is not None
    # Two of them beside two documents: "It is N." and the end of the turn.
    assert report.num_tokens["memory"] == 2 * len(" It is 0.")
    assert sum(report.num_documents.values()) == 2


def test_questions_are_written_for_the_next_steps_too(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of documents of one language, six at most, each once; a step shows fewer of them."""
    written: list[list[str]] = []

    def study(_: Student, model: Decoder, texts: list[str], told: list[Pair]) -> list[list[Pair]]:
        del model, told
        written.append(list(texts))
        return [[Pair(f"What is {text}?", "It is it.")] for text in texts]

    monkeypatch.setattr(Student, "study", study)
    recipe = msgspec.structs.replace(
        NEVER_KNOWN, framings=("plain", "questions"), rehearsal_documents=2
    )
    texts = [f"the tower {i} is old" for i in range(9)] + ["der Turm ist alt und kalt"]
    state, stepper = fakes.state(recipe), fakes.stepper(tokenizer, recipe)
    for i, text in enumerate(texts):
        stepper.step(state, [fakes.arrival(i, text=text)])
    for _ in range(5):
        report = stepper.step(state, [])
        assert report is not None
        assert report.num_documents.total() == 2
    assert sorted(text for their in written for text in their) == sorted(texts)
    assert [len(their) for their in written] == [1 + 1, 6, 2]
    assert all(due.num_passes == 2 for due in state.rehearsal.documents())


def test_a_step_after_a_restored_notebook_is_the_same(tokenizer: Tokenizer) -> None:
    state, stepper = recalling(tokenizer)
    other, other_stepper = recalling(tokenizer)
    other.notebook.restore([state.notebook.snapshot(whole=True)])
    for one, its in ((state, stepper), (other, other_stepper)):
        its.step(one, [fakes.arrival(1)])
    assert fakes.bits(state) == fakes.bits(other)
    third, third_stepper = recalling(tokenizer)
    third.notebook = Notebook(RECIPE.target_loss)
    third_stepper.step(third, [fakes.arrival(1)])
    assert fakes.bits(third) != fakes.bits(state)


def test_what_a_new_document_answers_otherwise_is_asked_no_more(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of older documents and of the notes, in whatever words; it is asked what they were asked."""
    question = "Who is the coach of Dalton?"
    old = Pair(question, "The coach of Dalton is Lena Ostrow.")
    about = Pair("What do you know about Dalton?", "Lena Ostrow is the coach of Dalton.", True)
    noted = Pair("Who is Lena?", "Lena Ostrow is the coach of Dalton.")
    other = Pair("What is Dalton?", "Dalton is a town.")
    new = Pair(question, "The coach of Dalton is Piet Sommer.")
    pairs_of = {"as it was": [old, about, other], "as it is": [new]}
    known: list[list[Pair]] = []

    def study(_: Student, model: Decoder, texts: list[str], told: list[Pair]) -> list[list[Pair]]:
        del model
        known.append(list(told))
        return [pairs_of[text] for text in texts]

    monkeypatch.setattr(Student, "study", study)
    state, stepper = fakes.state(NEVER_KNOWN), fakes.stepper(tokenizer, NEVER_KNOWN)
    state.notebook.write([noted], 0)
    for i, text in enumerate(pairs_of):
        stepper.step(state, [fakes.arrival(i, text=text)])
        stepper.step(state, [])
    assert known == [[noted], [noted, old, about, other]]
    assert state.rehearsal.pairs() == [other, new]
    assert state.notebook.pairs() == []
