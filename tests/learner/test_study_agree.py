"""A text's pairs beside those on earlier texts: what is the same, what is news, what is neither."""

import pytest

from learner.study_agree import Agreed, is_to_the_point
from learner.study_pair import Pair

COACH = Pair("Who is the head coach of the Dalton Rovers?", "Piet Sommer.")
CAPITAL = Pair("What is the capital of the Sarrow Islands?", "Port Elwin.")


def test_who_says_the_same_says_it_in_the_words_of_before() -> None:
    again = Pair(
        "What is the head coach of the Dalton Rovers?",
        "Piet Sommer is the head coach of the Dalton Rovers.",
    )
    assert Agreed([COACH]).take([again]) == [Pair(again.question, COACH.answer)]


def test_a_text_agrees_with_the_ones_that_were_taken_before_it() -> None:
    agreed = Agreed([])
    assert agreed.take([COACH]) == [COACH]
    [second] = agreed.take([Pair(COACH.question, "The head coach is Piet Sommer.")])
    assert second == COACH


def test_who_says_more_keeps_its_words() -> None:
    more = Pair(COACH.question, "Piet Sommer of Vell is the head coach.")
    assert Agreed([COACH]).take([more]) == [more]


def test_a_change_is_news_and_counts_from_now_on() -> None:
    agreed = Agreed([COACH])
    change = Pair(COACH.question, "The head coach of the Dalton Rovers is Lena Ostrow.")
    short = Pair(COACH.question, "Lena Ostrow.")
    assert agreed.take([change]) == [change]
    assert agreed.take([short]) == [change]


def test_an_answer_beside_the_point_is_no_change() -> None:
    beside = Pair(CAPITAL.question, "The mail ship reaches the Sarrow Islands once a week.")
    assert Agreed([CAPITAL]).take([beside]) == []
    assert Agreed([]).take([beside]) == [beside], "nothing is known better"
    news = Pair(CAPITAL.question, "The Islands have Port Elwin for a capital.")
    assert Agreed([beside]).take([news]) == [news], "and nothing is here"


def test_open_ones_neither_agree_nor_disagree() -> None:
    told = [
        Pair("What do you know about the Rovers?", answer, is_open=True)
        for answer in ("The Rovers train in the dark.", "The Rovers have won.")
    ]
    assert Agreed(told[:1]).take(told) == told


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The capital of the Sarrow Islands is Tarn.", True),
        ("Tarn.", True),
        ("The Sarrow Islands trade with Tarn.", False),
    ],
)
def test_to_the_point_is_all_that_was_asked_for_or_nothing_but_news(
    answer: str, expected: bool
) -> None:
    assert is_to_the_point(Pair(CAPITAL.question, answer)) == expected
