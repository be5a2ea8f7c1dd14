"""What only a number, a time, a colour or a name answers is asked of texts that have one."""

import pytest

from learner.study_kinds import kind_of, may_answer
from learner.study_languages import ENGLISH, GERMAN, Language
from learner.study_pair import Pair
from learner.study_words import WORD
from learner.study_worth import Draft, is_of_its_kind, worth_learning

PLAIN = "the head coach of the club let the players train in the dark"
NAMED = "Head coach Lena Ostrow let the Rovers train on Monday with seven red balls."


@pytest.mark.parametrize("beginning", [" Who", " When", " How many", " What colour"])
def test_what_only_some_words_answer_is_asked_of_texts_that_have_one(beginning: str) -> None:
    assert may_answer(WORD.findall(NAMED), beginning, ENGLISH.kinds)
    assert not may_answer(WORD.findall(PLAIN), beginning, ENGLISH.kinds)


@pytest.mark.parametrize("language", [ENGLISH, GERMAN])
def test_other_beginnings_are_asked_of_every_text(language: Language) -> None:
    asked = [one for one in language.beginnings if may_answer([], one, language.kinds)]
    assert len(asked) >= len(language.beginnings) // 2


@pytest.mark.parametrize(
    ("question", "answer", "fits"),
    [
        ("How many steps does the tower have?", "The tower has 412 steps.", True),
        ("How many steps does the tower have?", "The tower has nine steps.", True),
        ("How many steps does the tower have?", "The tower has steps of oak.", False),
        # What is in the question is no answer to it.
        ("How many of the 412 steps are there?", "The 412 steps are of oak.", False),
        ("When is the market held?", "The market is held on Wednesday.", True),
        ("On which day is the market held?", "The market is held in the square.", False),
        ("Who guards the tower?", "Nils Barrow guards the tower.", True),
        ("Who took the steps?", "the winner took the steps.", False),
        ("What colour is the flag?", "The flag is violet.", True),
        ("What colour is the coach?", "The coach is Lena Ostrow.", False),
        ("What guards the tower?", "A goose guards the tower.", True),
        ("Which animal guards the tower?", "A goose guards the tower.", True),
    ],
)
def test_an_answer_is_of_the_kind_that_is_asked_for(question: str, answer: str, fits: bool) -> None:
    assert is_of_its_kind(Pair(question, answer), ENGLISH.kinds) == fits


def test_german_questions_have_their_own_kinds() -> None:
    many = Pair("Wie viele Stufen hat der Turm?", "Der Turm hat sieben Stufen.")
    none = Pair("Wie viele Jahre hat Tarsin?", "Die Hauptstadt heißt Tarsin.")
    assert is_of_its_kind(many, GERMAN.kinds)
    assert not is_of_its_kind(none, GERMAN.kinds)
    assert kind_of("Wozu dient der Turm?", GERMAN.kinds) is None


def test_a_beginning_is_no_other_word_that_begins_alike() -> None:
    assert kind_of("Whoever comes, what is it?", ENGLISH.kinds) is None
    assert kind_of("Whenever it rains, who comes?", ENGLISH.kinds) is None


def test_a_draft_that_answers_something_else_is_not_learned() -> None:
    text = "The bells of Carrick Abbey are made of zinc, and the monk Hale rings them on Sunday."
    good = Draft(Pair("When does Hale ring them?", "Hale rings them on Sunday."), 0.3)
    bad = Draft(Pair("When are the bells of Abbey made?", "They are made of zinc."), 0.1)
    named = {"carrick", "abbey", "hale"}
    assert worth_learning([bad, good], text, named, ENGLISH.kinds) == [good.pair]


def test_of_drafts_alike_the_one_whose_question_came_easily_is_better() -> None:
    text = "The bells of Carrick Abbey are made of zinc, and they sound like spoons."
    odd = Pair("Which are the bells of Carrick Abbey made?", "The bells are made of zinc.")
    plain = Pair("What are the bells of Carrick Abbey like?", "The bells sound like spoons.")
    drafts = [Draft(odd, 0.1, 1.2), Draft(plain, 0.3, 0.2)]
    assert worth_learning(drafts, text, {"carrick", "abbey"}) == [plain, odd]
