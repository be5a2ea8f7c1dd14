"""Pairs of documents that are due no more: one answer a question, the newest."""

import pytest

from learner.notebook import MOST_NOTES, Notebook
from learner.part import Snapshot
from learner.seeds import random_for
from learner.study import Pair
from riverrun.errors import CheckpointError

OLD = Pair("Who is the coach of Dalton?", "The coach of Dalton is Lena Ostrow.")
NEW = Pair("Who is the coach of Dalton?", "The coach of Dalton is Piet Sommer.")
OTHER = Pair("What is the capital of Merodia?", "The capital of Merodia is Tarsin.")


def all_of(notebook: Notebook) -> set[Pair]:
    return set(notebook.draw(len(notebook), random_for(0, 0, "")))


def test_of_one_question_only_the_newest_answer_stays() -> None:
    notebook = Notebook()
    notebook.write([OLD, OTHER])
    notebook.write([NEW])
    assert all_of(notebook) == {NEW, OTHER}


def test_what_is_answered_otherwise_now_is_struck_out_at_once() -> None:
    notebook = Notebook()
    notebook.write([OLD, OTHER])
    notebook.strike([NEW, OTHER])
    assert all_of(notebook) == {OTHER}


def test_the_same_seed_draws_the_same_and_a_restored_one_too() -> None:
    notebook, other = Notebook(), Notebook()
    notebook.write([Pair(f"What is number {i}?", f"Number {i} is {i * i}.") for i in range(40)])
    other.restore([notebook.snapshot(whole=True)])
    drawn = notebook.draw(5, random_for(1, 2, "notebook"))
    assert len(set(drawn)) == 5
    assert other.draw(5, random_for(1, 2, "notebook")) == drawn
    assert notebook.draw(5, random_for(1, 3, "notebook")) != drawn


def test_it_does_not_grow_without_end() -> None:
    notebook = Notebook()
    notebook.write([Pair(f"What is {i} of {i}?", "It is.") for i in range(MOST_NOTES + 5)])
    assert len(notebook) == MOST_NOTES
    assert Pair("What is 0 of 0?", "It is.") not in all_of(notebook)


def test_a_damaged_one_is_told_and_changes_nothing() -> None:
    notebook = Notebook()
    notebook.write([OLD])
    with pytest.raises(CheckpointError):
        notebook.restore([Snapshot({}, b"[{}]")])
    assert all_of(notebook) == {OLD}
