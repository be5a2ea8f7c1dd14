"""The names in a sentence, whole and with their place. By rule; knows nothing of models."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from learner.study_languages import Language
from learner.study_words import WORD

JOINING = frozenset({"and", "of", "the", "&", "und", "der", "von", "de"})
"""Between two capitals they belong to the name: Crumb and Candle."""
APART = re.compile(r"[^\w& ]")


class Name(NamedTuple):
    """first and end: its place in the sentence, in characters."""

    text: str
    first: int
    end: int


def is_a_thing(name: str) -> bool:
    """A number alone is none: many things have it, and nobody asks what is known of 412."""
    return any(letter.isalpha() for letter in name)


def names_in(sentence: str, named: set[str], language: Language) -> Iterator[Name]:
    """In order: neighbouring words of `named`, and what joins them.

    named: the words of the text that name something, in small letters. A sentence's first word has
    a capital whatever it is: it belongs to the name behind it unless it is one that often begins.
    """
    words = list(WORD.finditer(sentence))
    is_named = [word.group().lower() in named for word in words]
    if words and _begins_name(sentence, words, is_named, language):
        is_named[0] = True
    runs: list[tuple[int, int]] = []
    joined_from: int | None = None
    for word, is_one in zip(words, is_named, strict=True):
        goes_on = bool(runs) and not sentence[runs[-1][1] : word.start()].strip(" ")
        if is_one:
            if goes_on or joined_from == _end(runs):
                runs[-1] = (runs[-1][0], word.end())
            else:
                runs.append(word.span())
            joined_from = None
        else:
            joined_from = _end(runs) if goes_on and word.group() in JOINING else None
    return (Name(sentence[first:end], first, end) for first, end in runs)


def _begins_name(
    sentence: str, words: Sequence[re.Match[str]], is_named: Sequence[bool], language: Language
) -> bool:
    """Whether the first word belongs to the name behind it."""
    behind = 2 if len(words) > 2 and words[1].group() in JOINING else 1
    if len(words) <= behind or not is_named[behind] or not words[behind].group()[0].isupper():
        return False
    if APART.search(sentence[words[0].end() : words[behind].start()]):
        return False
    first = words[0].group()
    return first[0].isupper() and first.lower() not in language.beginners


def _end(runs: list[tuple[int, int]]) -> int:
    return runs[-1][1] if runs else -1
