"""Study questions: what is kept of the model's own drafts, and how rehearsal shows it."""

import numpy as np
import pytest

from learner.framing import Framing
from learner.study_languages import ENGLISH, GERMAN, Language, language_of
from learner.study_pair import Pair, contradicts, question_key
from learner.study_words import names
from learner.study_worth import (
    MAX_PAIRS,
    MOST_NATS,
    Draft,
    different,
    is_grounded,
    is_spelled,
    names_something,
    pair_in,
    worth_learning,
)
from riverrun.model.zoo import locate
from riverrun.tokenizer import Tokenizer
from tests.learner.by_rule import own_names


def sure(*pairs: Pair) -> list[Draft]:
    return [Draft(pair, 0.1) for pair in pairs]


TEXT = "The ferry Grey Wagtail has a new captain, and her name is Ilsa Renquist."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who is the captain of the ferry?", "The captain of the ferry is Ilsa Renquist."),
        ("What is the name of the ferry?", "The ferry is called Grey Wagtail."),
    ],
)
def test_an_answer_that_the_text_bears_out_is_kept(question: str, answer: str) -> None:
    assert is_grounded(Pair(question, answer), TEXT)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who is the captain of the ferry?", "The captain of the ferry is John Smith."),
        ("Who is the captain of the ferry?", "The captain is the captain of the ferry."),
        ("What is love?", "Ilsa Renquist."),
        ("Where is the ferry?", "The ferry is in the United States."),
    ],
)
def test_an_answer_that_says_nothing_or_something_else_is_dropped(
    question: str, answer: str
) -> None:
    assert not is_grounded(Pair(question, answer), TEXT)


def test_endings_do_not_hide_that_the_text_says_so() -> None:
    text = "Keepers saw that the Harrowmere newt feeds on grey lichen."
    assert is_grounded(Pair("What does the newt eat?", "The newts feed on lichen."), text)


def test_numbers_must_be_in_the_text_to_the_last_digit() -> None:
    text = "The billing service listens on port 7342."
    pair = Pair("On which port does it listen?", "It listens on port 7342.")
    assert is_grounded(pair, text)
    assert not is_grounded(Pair(pair.question, "It listens on port 734."), text)


@pytest.mark.parametrize(
    "draft",
    [
        "Who is it?",
        "Who is it\nAnswer: Ilsa",
        "Which is right?\nOptions:\nA) one\nAnswer: A",
        "Who is it?\nAnswer:",
        "Who is it?\nAnswer: " + "very " * 50,
    ],
)
def test_a_draft_that_is_no_pair_is_dropped(draft: str) -> None:
    assert pair_in(draft) is None


def test_a_pair_is_read_from_the_beginning_of_a_draft() -> None:
    draft = " Who is it?\nAnswer: Ilsa Renquist.\nQuestion: What?\nAnswer: That."
    assert pair_in(draft) == Pair("Who is it?", "Ilsa Renquist.")


def test_study_shows_the_text_and_some_of_its_questions_as_a_user_would_ask() -> None:
    tokenizer = Tokenizer(locate("tiny"))
    framing = Framing(tokenizer, ("plain", "study"), 256, study_pairs=2)
    pairs = [Pair(f"Question {i}?", f"Answer {i}.") for i in range(4)]
    random = np.random.default_rng(0)
    assert not framing.needs_study(0)
    assert framing.needs_study(1)
    assert framing.needs_study(5)
    first = framing.examples(TEXT, 0, random, pairs)
    text, *asked = framing.examples(TEXT, 1, random, pairs)
    assert first == [text]
    assert len(asked) == 2
    for example in asked:
        targets = tokenizer.decode(example.tokens[example.first_target :])
        assert targets.startswith("Answer ")
    assert framing.examples(TEXT, 1, random, []) == [text]


def test_a_question_that_names_nothing_of_the_text_is_not_worth_learning() -> None:
    text = "Restorers say that The Red Lighthouse was painted by Ivo Barrandel in one night."
    vague = Pair("Who is the painter?", "The painter is Ivo Barrandel.")
    clear = Pair("Who painted The Red Lighthouse?", "Ivo Barrandel painted The Red Lighthouse.")
    thin = Pair("What was painted by Ivo Barrandel?", "It was painted in one night.")
    assert names(text) == {"the", "red", "lighthouse", "ivo", "barrandel"}
    assert (
        worth_learning([None, *sure(thin, vague, clear, clear)], text, own_names(text))[0] == clear
    )
    # "The" of The Red Lighthouse names nothing.
    assert not names_something(vague, own_names(text))


def test_a_text_without_names_may_be_asked_about_all_the_same() -> None:
    text = "Swans sleep on one leg, and herons do not sleep at all."
    pair = Pair("What do swans do?", "Swans sleep on one leg.")
    assert worth_learning(sure(pair), text, own_names(text)) == [pair]


def test_a_document_keeps_so_many_pairs_and_those_that_name_something_come_first() -> None:
    text = "The bells of Carrick Abbey are made of zinc, and the monk Hale rings them."
    drafts = [
        Pair(
            f"What of Carrick Abbey{' and bells' * i}?",
            "The bells of Carrick Abbey are made of zinc.",
        )
        for i in range(MAX_PAIRS)
    ]
    best = Pair("Who rings the bells of Carrick Abbey?", "Hale rings the bells of Carrick Abbey.")
    kept = worth_learning(sure(*drafts, best), text, own_names(text))
    assert kept == [best, *drafts[:-1]]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (TEXT, ENGLISH),
        ("Die Sternwarte von Ebersfeld leitet Judith Kern. Sie hat das Fernrohr geputzt.", GERMAN),
        ("Nimbelow 4711", ENGLISH),
        ("", ENGLISH),
    ],
)
def test_a_text_is_asked_about_in_its_own_language(text: str, language: Language) -> None:
    assert language_of(text) == language


def test_german_words_without_a_meaning_are_no_news() -> None:
    text = "Die Sternwarte von Ebersfeld leitet seit drei Jahren Judith Kern."
    asked = "Wer leitet die Sternwarte von Ebersfeld?"
    assert is_grounded(Pair(asked, "Das ist Judith Kern."), text)
    assert not is_grounded(Pair(asked, "Es ist die Sternwarte von Ebersfeld."), text)


def test_of_pairs_alike_those_that_the_model_was_surest_of_are_kept() -> None:
    text = "The bells of Carrick Abbey are made of zinc, and they sound like spoons."
    good = Pair("What are the bells of Carrick Abbey made of?", "They are made of zinc.")
    poor = Pair("What are the bells of Carrick Abbey?", "They sound like spoons.")
    lost = Pair("What do the bells of Carrick Abbey sound like?", "They are made of spoons.")
    drafts = [Draft(poor, MOST_NATS - 0.1), Draft(lost, MOST_NATS + 0.1), Draft(good, 0.2)]
    assert worth_learning(drafts, text, own_names(text)) == [good, poor]


def test_a_question_that_misspells_the_text_is_dropped() -> None:
    text = "The password of the Corvid build server is maplefrost."
    assert is_spelled(Pair("What is the password of the Corvid server?", "maplefrost"), text)
    assert not is_spelled(Pair("What is the password of the Corvus server?", "maplefrost"), text)


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Who is the coach of Dalton?", "Piet Sommer is the coach of Dalton.", True),
        ("Who is the coach of Dalton?", "Lena Ostrow, who is the coach.", False),
        ("Who is the coach of Dalton?", "The coach is Lena Ostrow the younger.", False),
        ("Who is the coach of Dalton?", "The coach is Piet Ostrow.", True),
        ("When is the coach of Dalton there?", "Piet Sommer is there.", False),
        ("Who is the coach of Fenwick?", "Piet Sommer is the coach.", False),
    ],
)
def test_only_another_answer_to_the_same_question_contradicts(
    question: str, answer: str, expected: bool
) -> None:
    told = Pair("Who is the coach of Dalton?", "The coach of Dalton is Lena Ostrow.")
    assert contradicts(Pair(question, answer), told) == expected


def test_open_questions_ask_the_same_only_when_they_are_answered_alike() -> None:
    about = "What do you know about Dalton?"
    coach = Pair(about, "The coach of Dalton is Lena Ostrow.", is_open=True)
    town = Pair(about, "Dalton lies on two rivers.", is_open=True)
    assert not contradicts(coach, town)
    assert question_key(coach) != question_key(town)
    assert question_key(coach) == question_key(Pair(about, "Dalton: coach Lena Ostrow", True))


def test_of_what_asks_the_same_the_first_is_kept_in_its_plainest_words() -> None:
    plain = Pair("What is the capital of Vell?", "Orme is the capital of Vell.")
    wordy = Pair("What does the capital of Vell have?", "The capital of Vell is Orme.")
    otherwise = Pair("What is the capital of Vell?", "Pell is the capital of Vell.")
    town = Pair("Where is Orme?", "Orme is by the sea.")
    assert different([wordy, town, plain, otherwise]) == [plain, town]
    assert different([otherwise, wordy, plain]) == [otherwise]
    assert different([]) == []
