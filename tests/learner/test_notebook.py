"""Pairs of documents that are due no more: one answer a question, the newest; what is known waits
longer and longer, what was lost comes next."""

from itertools import pairwise

import pytest

from learner.notebook import FIRST_INTERVAL, GROWTH, LOST_INTERVAL, MOST_NOTES, Notebook
from learner.part import Snapshot
from learner.seeds import random_for
from learner.study_pair import Pair
from riverrun.errors import CheckpointError

OLD = Pair("Who is the coach of Dalton?", "The coach of Dalton is Lena Ostrow.")
NEW = Pair("Who is the coach of Dalton?", "The coach of Dalton is Piet Sommer.")
OTHER = Pair("What is the capital of Merodia?", "The capital of Merodia is Tarsin.")


TARGET = 0.3
LATER = 1_000_000


def notebook_of(*pairs: Pair) -> Notebook:
    notebook = Notebook(TARGET)
    notebook.write(pairs, 0)
    return notebook


def all_of(notebook: Notebook) -> set[Pair]:
    return set(notebook.draw(len(notebook), LATER, random_for(0, 0, "")))


def test_of_one_question_only_the_newest_answer_stays() -> None:
    notebook = notebook_of(OLD, OTHER)
    notebook.write([NEW], 1)
    assert all_of(notebook) == {NEW, OTHER}


def test_what_is_answered_otherwise_now_is_struck_out_in_whatever_words_it_stands() -> None:
    news, about = "Lena Ostrow", "What do you know about Dalton?"
    open_one = Pair(about, f"{news}, who is the coach of Dalton, whistles.", is_open=True)
    elsewhere = Pair("Who sings?", f"{news} sings.")
    notebook = notebook_of(OLD, open_one, elsewhere, OTHER)
    assert notebook.outdated([OTHER, OLD]) == []
    notebook.strike(notebook.outdated([NEW, OTHER]))
    assert all_of(notebook) == {elsewhere, OTHER}


def test_what_was_known_waits_twice_as_long_each_time_and_what_was_lost_comes_soon() -> None:
    notebook = notebook_of(OTHER)
    random = random_for(0, 0, "")
    costs = iter([0.1, 0.2, 0.0, 0.5, 0.1])
    asked_in = []
    for step in range(1, 200):
        for pair in notebook.draw(5, step, random):
            asked_in.append(step)
            notebook.asked({pair: next(costs, 9.0)}, step)
        if len(asked_in) == 6:
            break
    waits = [b - a for a, b in pairwise(asked_in)]
    growing = [FIRST_INTERVAL * GROWTH**i for i in range(4)]
    assert asked_in[0] == FIRST_INTERVAL
    assert waits == [*growing[1:4], LOST_INTERVAL, GROWTH * LOST_INTERVAL]


def test_those_that_wait_longest_come_first_and_strangers_change_nothing() -> None:
    notebook = notebook_of(OLD)
    notebook.write([OTHER], 5)
    due = FIRST_INTERVAL + 4
    assert notebook.draw(2, due, random_for(0, 0, "")) == [OLD]
    notebook.asked({NEW: 0.0, Pair("Who else?", "Nobody."): 0.0}, 5)
    for seed in range(4):
        assert notebook.draw(1, due + 1, random_for(seed, 0, "")) == [OLD]
    assert set(notebook.draw(2, due + 1, random_for(0, 0, ""))) == {OLD, OTHER}


def test_an_answer_that_was_no_number_counts_as_lost() -> None:
    notebook = notebook_of(OLD)
    notebook.asked({OLD: float("nan")}, 3)
    assert notebook.draw(1, 3 + LOST_INTERVAL, random_for(0, 0, "")) == [OLD]


def test_the_same_seed_draws_the_same_and_a_restored_one_too() -> None:
    notebook, other = Notebook(TARGET), Notebook(TARGET)
    pairs = [Pair(f"What is number {i}?", f"Number {i} is {i * i}.") for i in range(40)]
    notebook.write(pairs, 0)
    notebook.asked(dict.fromkeys(pairs[:20], 0.0), 1)
    other.restore([notebook.snapshot(whole=True)])
    drawn = notebook.draw(5, FIRST_INTERVAL, random_for(1, 2, "notebook"))
    assert len(set(drawn)) == 5
    assert not set(drawn) & set(pairs[:20])
    assert other.draw(5, FIRST_INTERVAL, random_for(1, 2, "notebook")) == drawn
    assert notebook.draw(5, FIRST_INTERVAL, random_for(1, 3, "notebook")) != drawn


def test_it_does_not_grow_without_end() -> None:
    notebook = notebook_of(*(Pair(f"What is {i} of {i}?", "It is.") for i in range(MOST_NOTES + 5)))
    assert len(notebook) == MOST_NOTES
    assert Pair("What is 0 of 0?", "It is.") not in all_of(notebook)


def test_a_damaged_one_is_told_and_changes_nothing() -> None:
    notebook = notebook_of(OLD)
    with pytest.raises(CheckpointError):
        notebook.restore([Snapshot({}, b"[{}]")])
    assert all_of(notebook) == {OLD}


def test_of_two_wordings_that_are_answered_alike_the_plainer_one_stays() -> None:
    plain = Pair("What is the capital of Vell?", "The capital of Vell is Orme.")
    wordy = Pair("What does the capital of Vell have?", "Orme is the capital of Vell.")
    for first, second in ((plain, wordy), (wordy, plain)):
        assert all_of(notebook_of(first, second)) == {plain}
    changed = Pair(wordy.question, "The capital of Vell is Pell.")
    assert all_of(notebook_of(plain, changed)) == {changed}


def test_where_more_wait_than_are_asked_what_is_well_known_can_wait() -> None:
    """One that waits for twice its short interval comes before one that waits for a long one's
    half, however many steps that is."""
    notebook = notebook_of(OLD)
    for step in (1, 3, 7):
        notebook.asked({OLD: 0.0}, step)
    due_at = 7 + FIRST_INTERVAL * GROWTH**3
    notebook.write([OTHER], due_at + 1)
    random = random_for(0, 0, "")
    soon, late = due_at + 1, due_at + 1 + 2 * FIRST_INTERVAL
    assert notebook.draw(1, soon, random) == [OLD]
    assert notebook.draw(1, late, random) == [OTHER]
    assert notebook.draw(2, late, random) == [OTHER, OLD]
