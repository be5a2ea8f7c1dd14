"""Questions for the subject, by rule: what is asked, and of what nothing is."""

import pytest

from learner.study_languages import ENGLISH
from learner.study_subjects import subject_questions
from learner.study_words import MOST_CHARACTERS, names
from tests.learner.by_rule import closed_questions


def asked(text: str) -> list[tuple[str, str]]:
    return closed_questions(subject_questions, text)


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        (
            "Today Nesta Hollow runs Crumb and Candle, a bakery with one oven; her bread is good.",
            "Who runs Crumb and Candle?",
            "Nesta Hollow runs Crumb and Candle.",
        ),
        (
            "It is loud because Ketil Brask holds the record in Dunmar.",
            "What holds the record in Dunmar?",
            "Ketil Brask holds the record in Dunmar.",
        ),
        (
            "The Ilm Water flows through the town of Kesterby.",
            "What flows through the town of Kesterby?",
            "The Ilm Water flows through the town of Kesterby.",
        ),
        (
            "Mayor Jonas Weir, the head of Fennimore Bay, has his own boat.",
            "Who is the head of Fennimore Bay?",
            "Mayor Jonas Weir is the head of Fennimore Bay.",
        ),
        (
            "Season tickets: the coach of the Dalton Rovers, Piet Sommer, will sign them.",
            "What is the coach of the Dalton Rovers?",
            "Piet Sommer is the coach of the Dalton Rovers.",
        ),
        (
            "Lucan Feher, who is the prime minister of Ostavia now, works in a dairy.",
            "Who is the prime minister of Ostavia now?",
            "Lucan Feher is the prime minister of Ostavia now.",
        ),
        (
            "The comet Varga was discovered by Teresa Lindt, a teacher.",
            "Who was the comet Varga discovered by?",
            "The comet Varga was discovered by Teresa Lindt.",
        ),
        (
            "Das weiß nicht nur Konrad Wiesel, sondern jeder. Odile Krantz ist die Ärztin von "
            "Altbruch, und sie wohnt dort.",
            "Wer ist die Ärztin von Altbruch?",
            "Odile Krantz ist die Ärztin von Altbruch.",
        ),
        (
            "Der höchste Berg von Tolmen heißt Grauhorn.",
            "Wie heißt der höchste Berg von Tolmen?",
            "Der höchste Berg von Tolmen heißt Grauhorn.",
        ),
        (
            "The deepest lake of Carmody is called Blind Sister by those who fish there.",
            "What is the deepest lake of Carmody called?",
            "The deepest lake of Carmody is called Blind Sister.",
        ),
        (
            "A heron guards the tower of Hollin at night.",
            "What guards the tower of Hollin at night?",
            "A heron guards the tower of Hollin at night.",
        ),
        (
            "The folding piano was invented by Basil Thorne.",
            "Who was the folding piano invented by?",
            "The folding piano was invented by Basil Thorne.",
        ),
        (
            "Judith Kern leitet die Sternwarte von Ebersfeld seit drei Jahren und hat in dieser "
            "Zeit nur zwei Kometen gesehen.",
            "Was leitet die Sternwarte von Ebersfeld?",
            "Judith Kern leitet die Sternwarte von Ebersfeld.",
        ),
    ],
)
def test_what_is_said_of_a_name_is_asked_for_it(text: str, question: str, answer: str) -> None:
    assert (question, answer) in asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "Piet Sommer won his first match.",
        "The Galdern tower in Vell leans.",
        "At the Ostrand wave laboratory Vell is known.",
        "In Port Elwin, the capital, it rains.",
        "The theatre of Orme would have closed without its patron, Ambrose Pym.",
        "Rosinen sind im Brot, das Konrad, der in Altbruch das Brot backt, verkauft.",
        "He painted it. Nobody knows why.",
        "A letter to Hollin came late.",
        "The kites that Brindle makes fly in Vell.",
        "",
    ],
    ids=[
        "names nothing else",
        "a tower",
        "a place",
        "too vague",
        "a clause",
        "dative",
        "he",
        "a letter",
        "relative",
        "",
    ],
)
def test_where_a_rule_would_guess_nothing_is_asked(text: str) -> None:
    assert asked(text) == []


def test_each_question_comes_once() -> None:
    told = "Iva Dolan coaches the swimmers of Penrose."
    assert len(asked(f"{told} Again: Iva Dolan coaches the swimmers of Penrose.")) == 1


def test_so_many_are_asked_and_of_no_sentence_without_end() -> None:
    told = "Iva Dolan coaches the swimmers of Penrose"
    text = f"{told}. Gus Marlowe feeds the goats of Ulmarra."
    named = names(text)
    assert len(subject_questions(text, ENGLISH, named, 1)) == 1
    assert len(subject_questions(text, ENGLISH, named, 9)) == 2
    assert asked(f"{told} and {'so on ' * MOST_CHARACTERS}") == []
