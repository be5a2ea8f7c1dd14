"""A document is due until it is known or its passes are spent, and no longer."""

import msgspec

from learner.rehearsal import NEVER_ASKED, Rehearsal
from learner.seeds import random_for
from learner.study_pair import Pair, outdated_by
from tests.learner.fakes import RECIPE


def due(num_documents: int, **changes: object) -> Rehearsal:
    rehearsal = Rehearsal(msgspec.structs.replace(RECIPE, **changes))
    for i in range(num_documents):
        rehearsal.admit(f"text {i}", "s", 10, 2.0)
    return rehearsal


def test_a_known_document_is_not_due() -> None:
    rehearsal = due(0)
    assert rehearsal.admit("text", "s", 10, 0.4) == ["known"]
    assert len(rehearsal) == 0


def test_a_document_is_shown_until_its_passes_are_spent() -> None:
    rehearsal = due(1, max_passes=4)
    assert [rehearsal.shown(0, 2.0) for _ in range(3)] == [None, None, "passes"]
    assert len(rehearsal) == 0


def test_a_document_is_shown_until_it_is_known() -> None:
    rehearsal = due(1, max_passes=9)
    assert [rehearsal.shown(0, loss) for loss in (2.0, 0.6, 0.49)] == [None, None, "known"]


PAIRS = [Pair(f"Question {i}?", f"Answer {i}.") for i in range(3)]


def test_a_document_with_questions_is_known_when_each_answer_is() -> None:
    """Not when it is known by heart, and not when one of them was never asked."""
    rehearsal = due(1, max_passes=9)
    rehearsal.studied(0, PAIRS)
    assert rehearsal.shown(0, 0.1, {0: 0.1, 1: 3.0}) is None
    assert rehearsal.shown(0, 0.1, {0: 0.1, 1: 0.2}) is None
    assert rehearsal.documents()[0].costs == [0.1, 0.2, NEVER_ASKED]
    assert rehearsal.shown(0, 0.9, {2: 0.3}) == "known"


def test_an_answer_that_was_forgotten_is_not_known_any_more() -> None:
    rehearsal = due(1, max_passes=9)
    rehearsal.studied(0, PAIRS)
    rehearsal.shown(0, 0.1, {0: 0.1, 1: 0.1})
    assert rehearsal.shown(0, 0.1, {0: 2.0, 2: 0.1}) is None
    assert rehearsal.shown(0, 0.1, {0: 0.1}) == "known"


def test_questions_that_are_not_known_yet_are_asked_first() -> None:
    rehearsal = due(1, max_passes=9)
    rehearsal.studied(0, PAIRS)
    rehearsal.shown(0, 0.1, {0: 0.1, 1: 0.9})
    other = due(0)
    other.restore([rehearsal.snapshot(whole=True)])
    for step in range(20):
        first, second, last = rehearsal.ask(
            rehearsal.documents()[0], PAIRS, 3, random_for(0, step, "ask")
        )
        assert {first, second} == {1, 2}
        assert last == 0
        again = other.ask(other.documents()[0], PAIRS, 3, random_for(0, step, "ask"))
        assert again == [first, second, last]


def test_questions_alone_are_those_that_are_not_known() -> None:
    rehearsal = due(1, study_pairs=3, max_passes=9)
    [its] = rehearsal.documents()
    rehearsal.studied(its.number, PAIRS)
    rehearsal.shown(its.number, 2.0, {0: 0.1, 1: 2.0, 2: 0.1})
    for step in range(4):
        random = random_for(0, step, "ask")
        assert rehearsal.ask(its, PAIRS, 3, random, known_too=False) == [1]
        assert sorted(rehearsal.ask(its, PAIRS, 3, random)) == [0, 1, 2]
    its.costs = [0.1, 0.1, 0.1]
    assert len(rehearsal.ask(its, PAIRS, 2, random_for(0, 0, "ask"), known_too=False)) == 2


def test_one_pass_at_most_leaves_nothing_due() -> None:
    assert due(0, max_passes=1).admit("text", "s", 10, 9.0) == ["passes"]


def test_a_loss_that_is_no_number_does_not_count_as_known() -> None:
    rehearsal = due(1, max_passes=3)
    assert [rehearsal.shown(0, float("nan")) for _ in range(2)] == [None, "passes"]


def test_those_shown_least_come_first() -> None:
    rehearsal = due(9, max_passes=5)
    shown = []
    for step in range(9):
        chosen = rehearsal.choose(RECIPE.max_step_tokens, random_for(0, step, "due"))
        assert len(chosen) <= RECIPE.rehearsal_documents
        for one in chosen:
            shown.append(one.number)
            rehearsal.shown(one.number, 2.0)
    rounds = [shown[i : i + 9] for i in range(0, len(shown) - 8, 9)]
    assert all(sorted(one_round) == list(range(9)) for one_round in rounds)


def test_those_without_questions_lie_beside_others_of_their_language() -> None:
    rehearsal = due(0, study_pairs=2, rehearsal_documents=3, max_step_tokens=1000)
    for i in range(6):
        rehearsal.admit(
            f"the tower of town {i} is old" if i % 2 else f"der Turm {i} ist alt", "s", 10, 2.0
        )
    chosen = [
        one.language for one in rehearsal.choose(RECIPE.max_step_tokens, random_for(0, 1, "test"))
    ]
    assert chosen == ["de"] * 3
    for one in rehearsal.documents():
        rehearsal.studied(one.number, PAIRS)
    mixed = {
        tuple(
            one.language
            for one in rehearsal.choose(RECIPE.max_step_tokens, random_for(0, step, "test"))
        )
        for step in range(20)
    }
    assert any(len(set(languages)) == 2 for languages in mixed)


def test_a_choice_depends_on_nothing_but_state_and_seed() -> None:
    one, other = due(9), due(0)
    other.restore([one.snapshot(whole=True)])
    for step in range(5):
        random = random_for(3, step, "due"), random_for(3, step, "due")
        assert one.choose(64, random[0]) == other.choose(64, random[1])


def test_the_oldest_leave_when_there_are_too_many() -> None:
    rehearsal = due(5, max_due_documents=3)
    assert [document.number for document in rehearsal.documents()] == [2, 3, 4]
    assert rehearsal.admit("x" * 50, "s", 10, 2.0) == ["crowded"]
    narrow = due(5, max_due_characters=20)
    assert sum(len(document.text) for document in narrow.documents()) <= 20


def test_a_document_longer_than_a_step_is_chosen_alone() -> None:
    rehearsal = due(0)
    rehearsal.admit("long", "s", 10_000, 2.0)
    rehearsal.admit("short", "s", 10, 2.0)
    sizes = set()
    for step in range(8):
        chosen = rehearsal.choose(RECIPE.max_step_tokens, random_for(0, step, "due"))
        sizes.add(tuple(sorted(one.text for one in chosen)))
    assert ("long",) in sizes
    assert ("short",) in sizes


OLD = Pair("Who is the coach of Dalton?", "The coach of Dalton is Lena Ostrow.")
NEW = Pair("Who is the coach of Dalton?", "The coach of Dalton is Piet Sommer.")


def test_what_a_newer_document_answers_otherwise_is_not_asked_any_more() -> None:
    """Whichever of the two was studied first."""
    for first, second in ((0, 1), (1, 0)):
        rehearsal = due(2, max_passes=9)
        for number in (first, second):
            pairs = [PAIRS[number], OLD if number == 0 else NEW]
            rehearsal.studied(number, pairs)
            rehearsal.shown(number, 1.0, {0: 0.5, 1: 0.7})
            outdated = rehearsal.strike(number, [])
            # What was answered before is struck out of the notes too; when the older document is
            # studied last it is not there yet.
            assert bool(outdated) == (number == second == 1)
        older, newer = rehearsal.documents()
        assert (older.pairs, older.costs) == ([PAIRS[0]], [0.5])
        assert (newer.pairs, newer.costs) == ([PAIRS[1], NEW], [0.5, 0.7])


def test_documents_that_answer_alike_both_stay() -> None:
    rehearsal = due(2, max_passes=9)
    for number in (0, 1):
        rehearsal.studied(number, [OLD])
        assert rehearsal.strike(number, []) == []
    assert [document.pairs for document in rehearsal.documents()] == [[OLD], [OLD]]


def test_what_the_notes_say_otherwise_is_asked_of_no_older_document_in_whatever_words() -> None:
    open_one = Pair("What do you know about Dalton?", "Coach Lena Ostrow loves Dalton.", True)
    rehearsal = due(3, max_passes=9)
    rehearsal.studied(0, [PAIRS[0], open_one])
    rehearsal.studied(1, [NEW])
    rehearsal.studied(2, [open_one])
    outdated = outdated_by([NEW], [OLD])
    assert rehearsal.strike(1, outdated) == outdated
    assert [document.pairs for document in rehearsal.documents()] == [[PAIRS[0]], [NEW], [open_one]]
    gone = 99
    assert rehearsal.strike(gone, outdated) == outdated
