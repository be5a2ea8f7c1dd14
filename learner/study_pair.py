"""A question on a text with its answer, and when two of them ask the same.

Knows nothing of models or tokens. Called by the study modules, and by whoever keeps pairs.
"""

import re
from functools import lru_cache

import msgspec

from learner.study_languages import LANGUAGES
from learner.study_words import words_of

ENDING = re.compile(r"(?<=\w\w\w)(?:['’]s|s|ed|ing)$")
FUNCTION_WORDS = frozenset().union(*(language.function_words for language in LANGUAGES))
ASKING_STEMS = frozenset(
    ENDING.sub("", word.lower()) for language in LANGUAGES for word in language.asking
)
STUDIED_TOKENS = 192
"""Of a longer text only its beginning is asked about."""
OTHERWISE = frozenset({"when", "where", "how", "why", "wann", "wo", "warum"})


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
    where and how ask for something else, and open ones for what they are answered with."""
    asked = stems(pair.question) | (words_of(pair.question) & OTHERWISE)
    return " ".join([*sorted(asked), *(["|", *sorted(stems(pair.answer))] if pair.is_open else [])])


def contradicts(pair: Pair, other: Pair) -> bool:
    """Whether two pairs ask the same, and what one answers has nothing of the other's answer."""
    if question_key(pair) != question_key(other):
        return False
    asked = stems(pair.question)
    return not (stems(pair.answer) - asked) & (stems(other.answer) - asked)
