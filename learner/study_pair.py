"""A question on a text with its answer, and when two of them ask or say the same.

Knows nothing of models or tokens. Called by the study modules, and by whoever keeps pairs.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from learner.study_languages import LANGUAGES
from learner.study_words import WORD, words_of

ENDING = re.compile(r"(?<=\w\w\w)(?:['’]s|s|ed|ing)$")
FUNCTION_WORDS = frozenset().union(*(language.function_words for language in LANGUAGES))
ASKING_STEMS = frozenset(
    ENDING.sub("", word.lower()) for language in LANGUAGES for word in language.asking
)
STUDIED_TOKENS = 192
"""Of a longer text only its beginning is asked about."""
OTHERWISE = frozenset({"when", "where", "how", "why", "wann", "wo", "warum", "by"})


class Pair(msgspec.Struct, frozen=True):
    """A question, and what a text answers. is_open: asks for anything about something, so that it
    has many right answers."""

    question: str
    answer: str
    is_open: bool = False


def stems(text: str) -> set[str]:
    """The words that carry meaning, without English endings."""
    return {ENDING.sub("", word) for word in words_of(text) - FUNCTION_WORDS}


@lru_cache(maxsize=100_000)
def question_key(pair: Pair) -> str:
    """Equal for questions of the same words, in whatever order, and "who" is "what"; but when,
    where and how ask for something else, what is done by whom is answered the other way round than
    who does it, and open ones ask for what they are answered with."""
    asked = stems(pair.question) | (words_of(pair.question) & OTHERWISE)
    return " ".join([*sorted(asked), *(["|", *sorted(stems(pair.answer))] if pair.is_open else [])])


@lru_cache(maxsize=100_000)
def asked_about(question: str) -> frozenset[str]:
    """What it means, without the words with which one asks, in stems."""
    return frozenset(stems(question)) - ASKING_STEMS


def plainer(pair: Pair, former: Pair) -> Pair:
    """Of two that ask the same and answer alike, the one with fewer words around what is meant:
    "What is the capital?" and not "What does the capital have?"; of equals the newer, `pair`."""
    return former if len(former.question.split()) < len(pair.question.split()) else pair


def news_of(pair: Pair) -> set[str]:
    """What the answer says and the question does not, in stems."""
    return stems(pair.answer) - stems(pair.question)


def new_words(pair: Pair) -> list[str]:
    """The words of the answer that the question does not have, in order and as they are spelled."""
    asked = words_of(pair.question)
    return [word for word in WORD.findall(pair.answer) if word.lower() not in asked]


def contradicts(pair: Pair, other: Pair) -> bool:
    """Whether two pairs ask the same, and each answers something that the other does not: greedily
    only one of them can be said."""
    if question_key(pair) != question_key(other):
        return False
    news, others = news_of(pair), news_of(other)
    return not (news <= others or others <= news)


class Outdated(NamedTuple):
    """What was said of something and is not so any more, in stems."""

    about: frozenset[str]
    said: set[str]

    def is_in(self, pair: Pair) -> bool:
        """Whether a pair says it, in whatever words it is asked for."""
        answer = stems(pair.answer)
        return self.said <= answer and self.about <= answer | stems(pair.question)


def outdated_by(pairs: Iterable[Pair], formers: Iterable[Pair]) -> list[Outdated]:
    """What of the `formers` does not hold when `pairs` do."""
    by_question: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_question.setdefault(question_key(pair), []).append(pair)
    return [
        Outdated(asked_about(pair.question), news_of(former) - news_of(pair))
        for former in formers
        for pair in by_question.get(question_key(former), [])
        if contradicts(pair, former)
    ]
