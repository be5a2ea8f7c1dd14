"""What kind of thing a question asks for, and whether a text or an answer has one.

A small model answers whatever it is made to ask: of a text without a number "How many years old is
the coach? The coach is Lena Ostrow." So what only a number, a time, a colour or a name can answer
is asked where the text has one, and kept where the answer has. Everything else may be answered by
anything. By rule; knows nothing of models. Called by `study.py`, `study_worth.py` and
`study_objects.py`.

Source: answer types as in question answering (Li and Roth, Learning Question Classifiers, 2002);
ours are the four of theirs that signs and small lists can tell.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

CAPITAL = re.compile(r"[A-ZÄÖÜ]")
DIGIT = re.compile(r"\d")


class Kind(NamedTuple):
    """asked: how a question for it begins, in small letters. words: one of which answers it, in
    small letters; so do digits where `has_digits`, and names where it `is_named`."""

    asked: tuple[str, ...]
    words: frozenset[str]
    has_digits: bool = False
    is_named: bool = False

    def is_among(self, words: Iterable[str]) -> bool:
        """Whether one of `words`, as they are spelled, is of this kind."""
        return any(
            word.lower() in self.words
            or (self.has_digits and DIGIT.search(word))
            or (self.is_named and CAPITAL.match(word))
            for word in words
        )


def kind_of(question: str, kinds: Iterable[Kind]) -> Kind | None:
    """Of which a question, or its beginning, asks for one; None for what anything may answer."""
    asks = " ".join(question.lower().split())
    for kind in kinds:
        if any(f"{asks} ".startswith(f"{one} ") for one in kind.asked):
            return kind
    return None


def may_answer(words: Iterable[str], question: str, kinds: Iterable[Kind]) -> bool:
    """Whether an answer to a question, or to what begins so, may be among `words`, as they are
    spelled."""
    kind = kind_of(question, kinds)
    return kind is None or kind.is_among(words)
