"""Which questions that were asked before a new text is to answer as well.

What changes is told in other words than before, so the questions that the model writes on it are
others too, and the former answer is not found by them. And of half of all documents a small model
writes no question that a user would ask, where on another one of the same matter it has. So a new
text is asked again what was asked before and it speaks of; its answer is held against the former
one as those to its own questions.

Knows nothing of models. Called by `study.py`.
"""

import re
from collections.abc import Iterable

from learner.study_kinds import DIGIT
from learner.study_pair import Pair, asked_about, new_words, plainer, question_key, stems
from learner.study_worth import names_something

NAME = re.compile(r" [A-ZÄÖÜ]")
"""Not the first word, which always has a capital."""
LEAST_STEMS = 2
"""Of what a question asks about: one word alone is too little to tell what it means."""


def asked_again(text: str, named: set[str], known: Iterable[Pair], num_wanted: int) -> list[Pair]:
    """Of `known` those all of whose question's meaning is in the text, in their plainest words; the
    most telling first, of equals the newest.

    named: the words of the text that name something, in small letters. known: oldest first.
    """
    told = stems(text)
    fitting: dict[str, tuple[int, int, Pair]] = {}
    for age, pair in enumerate(known):
        asked = asked_about(pair.question)
        if pair.is_open or len(asked) < LEAST_STEMS or not asked <= told:
            continue
        if not names_something(pair, named):
            continue
        former = fitting.get(question_key(pair))
        worded = pair if former is None else plainer(pair, former[2])
        fitting[question_key(pair)] = (len(asked), age, worded)
    most_telling = sorted(fitting.values(), key=lambda one: one[:2], reverse=True)
    return [pair for _, _, pair in most_telling[:num_wanted]]


def is_of_a_kind(pair: Pair, former: Pair) -> bool:
    """Whether the answer can stand where the former one stood: a number for a number, and a name
    for a name. Who is asked for a weight and finds none would say a new cable."""
    news, former_news = " ".join(new_words(pair)), " ".join(new_words(former))
    return all(bool(kind.search(news)) == bool(kind.search(former_news)) for kind in (DIGIT, NAME))
