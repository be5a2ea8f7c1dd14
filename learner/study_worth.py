"""Which of the pairs that a model wrote are worth learning: those that the text bears out.

Pairs whose answer says nothing, or something that is not in the text, are dropped; so are questions
that name nothing of the text ("Who is the artist?"): learned, they give the invented painter the
Mona Lisa. Knows nothing of models or tokens. Called by `study.py`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from learner.study_kinds import Kind, may_answer
from learner.study_pair import (
    ASKING_STEMS,
    Pair,
    contradicts,
    new_words,
    plainer,
    question_key,
    stems,
)
from learner.study_words import words_of

MAX_ANSWER_CHARACTERS = 160
MOST_NATS = 0.5
"""Mean surprise of an answer's tokens: above it, what is said is what the rules left open."""
EVADES = re.compile(r"\w.*\b(?:what|whether|ob)\b")
"""What an answer has that hands the question on: The chemist knows what it is."""
MAX_PAIRS = 3
"""Of one document; those whose answer names something come first. On the 58 documents of the tuning
half the first three held 76 of the 107 pairs that say what users ask, in 158 of 255."""


class Draft(NamedTuple):
    """nats, asking_nats: by which the answer, and what the question says behind its beginning,
    surprised their writer, a token; high where it was led elsewhere."""

    pair: Pair
    nats: float
    asking_nats: float = 0.0


def pair_in(draft: str) -> Pair | None:
    """The pair at the beginning of what was written; None when it is not whole."""
    question, marker, rest = draft.partition("\nAnswer:")
    question, answer = question.strip(), rest.strip().split("\n")[0].strip()
    is_question = question.endswith("?") and "\n" not in question
    if not (marker and is_question and answer) or len(answer) > MAX_ANSWER_CHARACTERS:
        return None
    return Pair(question, answer)


def is_grounded(pair: Pair, text: str) -> bool:
    """Whether the answer says more than the question, and nothing that the text does not say."""
    told, asked, said = stems(text), stems(pair.question), stems(pair.answer)
    news = said - asked
    return bool(news) and news <= told and bool(asked & told)


def names_something(pair: Pair, named: set[str]) -> bool:
    """Whether the question has one of the text's names or numbers, if the text has any."""
    return not named or bool(named & words_of(pair.question))


def is_spelled(pair: Pair, text: str) -> bool:
    """Whether the question has no words but the text's, and those with which one asks."""
    return stems(pair.question) <= stems(text) | ASKING_STEMS


def is_of_its_kind(pair: Pair, kinds: Sequence[Kind]) -> bool:
    """Whether the answer says what only can answer it: a number to how many."""
    return may_answer(new_words(pair), pair.question, kinds)


def worth_learning(
    drafts: Sequence[Draft | None], text: str, named: set[str], kinds: Sequence[Kind] = ()
) -> list[Pair]:
    """Different pairs that the text bears out, whose question names something; the best first:
    those whose answer names something, and of them those that the model was surest of, question
    and answer. kinds: of which an answer has to be what its question asks for."""
    kept = {
        draft.pair: draft.nats + draft.asking_nats
        for draft in drafts
        if draft is not None
        and draft.nats <= MOST_NATS
        and is_grounded(draft.pair, text)
        and is_spelled(draft.pair, text)
        and not EVADES.search(draft.pair.answer)
        and names_something(draft.pair, named)
        and is_of_its_kind(draft.pair, kinds)
    }

    def worth(pair: Pair) -> tuple[bool, float]:
        return not (words_of(pair.answer) - words_of(pair.question)) & named, kept[pair]

    return sorted(kept, key=worth)[:MAX_PAIRS]


def different(pairs: Sequence[Pair]) -> list[Pair]:
    """Of those that ask the same the first, in the plainest words of them that answer so."""
    found: dict[str, Pair] = {}
    for pair in pairs:
        first = found.setdefault(question_key(pair), pair)
        if not contradicts(pair, first):
            found[question_key(pair)] = plainer(first, pair)
    return list(found.values())
