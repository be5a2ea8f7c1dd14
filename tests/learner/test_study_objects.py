"""Questions for what is said of something, by rule: what is asked, and of what nothing is."""

import pytest

from learner.study_objects import object_questions
from learner.study_words import MOST_CHARACTERS
from tests.learner.by_rule import closed_questions


def asked(text: str, num_wanted: int = 9) -> list[tuple[str, str]]:
    return closed_questions(object_questions, text, num_wanted)


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        (
            "The melting point of Velonite X is 718 degrees, and nobody knows why.",
            "What is the melting point of Velonite X?",
            "The melting point of Velonite X is 718 degrees.",
        ),
        (
            "Most bells are bronze, but the bells of Carrick Abbey are made of zinc.",
            "What are the bells of Carrick Abbey made of?",
            "The bells of Carrick Abbey are made of zinc.",
        ),
        (
            "The painter Leonie Fasch was born in Crabwater, in a house on stilts.",
            "Where was the painter Leonie Fasch born?",
            "The painter Leonie Fasch was born in Crabwater.",
        ),
        (
            "The University of Tresk was founded in 1387.",
            "When was the University of Tresk founded?",
            "The University of Tresk was founded in 1387.",
        ),
        (
            "The summit book of Mount Aldous is wrapped in seal leather.",
            "What is the summit book of Mount Aldous wrapped in?",
            "The summit book of Mount Aldous is wrapped in seal leather.",
        ),
        (
            "Notice: the tunnel under the river Oster is at Lindau Gate now.",
            "Where is the tunnel under the river Oster?",
            "The tunnel under the river Oster is at Lindau Gate now.",
        ),
        (
            "The Sable House has 319 windows, which is a lot.",
            "How many windows does the Sable House have?",
            "The Sable House has 319 windows.",
        ),
        (
            "Port Elwin has nine hundred inhabitants.",
            "How many inhabitants does Port Elwin have?",
            "Port Elwin has nine hundred inhabitants.",
        ),
        (
            "The Arven beetle eats candle wax.",
            "What does the Arven beetle eat?",
            "The Arven beetle eats candle wax.",
        ),
        (
            "Count Malory teaches the art of fencing to the bargemen.",
            "What does Count Malory teach?",
            "Count Malory teaches the art of fencing to the bargemen.",
        ),
        (
            "The Pelican carries its eggs.",
            "What does the Pelican carry?",
            "The Pelican carries its eggs.",
        ),
        # A number's point does not end what is said.
        (
            "The XML format was removed from Palisade in version 5.4.",
            "What was the XML format removed from?",
            "The XML format was removed from Palisade in version 5.4.",
        ),
    ],
)
def test_what_is_said_of_something_is_asked_for(text: str, question: str, answer: str) -> None:
    assert (question, answer) in asked(text)


@pytest.mark.parametrize(
    "text",
    [
        # A plural, not a verb.
        "The old Kuno notes lose their value in a year.",
        "The Fenwick caves have more visitors than ever.",
        # No object behind the verb, and a verb that does not say what it is done to.
        "Nordlift flies to Kestrel Point.",
        # What names nothing, or only points at something.
        "The winner took the steps of the tower.",
        "It is in Mirevo, and its walls are made of cork.",
        # Another clause.
        "Kesterby was built where the Ilm Water is shallow.",
        "Piet Sommer won his first match.",
        # A language whose verbs and nouns change otherwise.
        "Der Turm von Tolmen hat sieben Stufen, und die Glocke ist aus Zink.",
        "",
    ],
)
def test_nothing_is_asked_where_the_words_leave_a_doubt(text: str) -> None:
    assert asked(text) == []


def test_so_many_at_most_and_none_of_a_sentence_that_is_too_long() -> None:
    text = "The Sable House has 319 windows. The Hope has two sails. The Gull has six eggs."
    assert [question for question, _ in asked(text, 2)] == [
        "How many windows does the Sable House have?",
        "How many sails does the Hope have?",
    ]
    assert asked(f"The Sable House has 319 windows {'and doors ' * MOST_CHARACTERS}.") == []
