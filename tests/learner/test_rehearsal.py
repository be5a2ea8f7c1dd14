"""A document is due until it is known or its passes are spent, and no longer."""

import msgspec

from learner.rehearsal import Rehearsal
from learner.seeds import random_for
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


def test_one_pass_at_most_leaves_nothing_due() -> None:
    assert due(0, max_passes=1).admit("text", "s", 10, 9.0) == ["passes"]


def test_a_loss_that_is_no_number_does_not_count_as_known() -> None:
    rehearsal = due(1, max_passes=3)
    assert [rehearsal.shown(0, float("nan")) for _ in range(2)] == [None, "passes"]


def test_those_shown_least_come_first() -> None:
    rehearsal = due(9, max_passes=5)
    shown = []
    for step in range(9):
        chosen = rehearsal.choose(random_for(0, step, "due"))
        assert len(chosen) <= RECIPE.rehearsal_documents
        for one in chosen:
            shown.append(one.number)
            rehearsal.shown(one.number, 2.0)
    rounds = [shown[i : i + 9] for i in range(0, len(shown) - 8, 9)]
    assert all(sorted(one_round) == list(range(9)) for one_round in rounds)


def test_a_choice_depends_on_nothing_but_state_and_seed() -> None:
    one, other = due(9), due(0)
    other.restore([one.snapshot(whole=True)])
    for step in range(5):
        random = random_for(3, step, "due"), random_for(3, step, "due")
        assert one.choose(random[0]) == other.choose(random[1])


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
        chosen = rehearsal.choose(random_for(0, step, "due"))
        sizes.add(tuple(sorted(one.text for one in chosen)))
    assert ("long",) in sizes
    assert ("short",) in sizes
