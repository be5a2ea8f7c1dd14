"""Questions for what a text says of something, by rule: no model writes here.

Those for a subject (`study_subjects.py`) ask who or what; these ask what of it:

    The melting point of velonite is 718 degrees.   What is the melting point of velonite?
    The bells of Carrick Abbey are made of zinc.    What are the bells of Carrick Abbey made of?
    Leonie Fasch was born in Crabwater.             Where was Leonie Fasch born?
    The tunnel under the Oster is at Lindau Gate.   Where is the tunnel under the Oster?
    The Sable House has 319 windows.                How many windows does the Sable House have?
    The Arven beetle eats candle wax.               What does the Arven beetle eat?

English alone: its verbs change by their last letters only. Called by `study.py`.

Source: Heilman and Smith, 2010, as for subjects; theirs need a parsed sentence, these a clause that
begins with what it is about and has its verb in a place where small words leave no doubt.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from learner.study_clauses import (
    BE,
    DETERMINERS,
    MOST_SUBJECT_WORDS,
    PARTICIPLE,
    POINTING,
    as_within,
    capital,
    clause_questions,
    is_a_subject,
    is_an_object,
    up_to_end,
    who_or_what,
)
from learner.study_kinds import may_answer
from learner.study_languages import Language
from learner.study_pair import Pair

PLACES = frozenset({"in", "at", "on", "near", "under", "behind", "beside", "above", "below"})
COPULA = re.compile(r"^(.+?) (is|are|was|were) (?:now |still )?(.+)$")
DONE = re.compile(rf"^({PARTICIPLE}) ([a-z]+) ")
HAVE = re.compile(r"^(.+?) (has|have) (.+)$")
OF_WHAT = PLACES | {"of", "with", "by", "from", "for", "to", "into", "through", "after"}
OWN_FORMS = {"lies": "lie", "dies": "die", "ties": "tie"}


def object_questions(text: str, language: Language, named: set[str], num_wanted: int) -> list[Pair]:
    """As `clause_questions`."""
    asks = who_or_what(text, language)

    def ask(clause: str) -> Iterator[Pair]:
        yield from _what_it_is(clause, asks, language)
        yield from _how_many(clause, language)
        yield from _what_it_does(clause, named, language)

    return clause_questions(text, language, named, num_wanted, ask)


def _what_it_is(clause: str, asks: str, language: Language) -> Iterator[Pair]:
    found = COPULA.match(clause)
    if found is None or not is_a_subject(found[1], language):
        return
    subject, is_, said = found.groups()
    if " " in said:
        said = up_to_end(said, language)
    if not said:
        return
    it, answer = as_within(subject, language), f"{capital(subject)} {is_} {said}."
    done = DONE.match(f"{said} ")
    first = said.split()[0]
    if done and done[2] in OF_WHAT:
        where = _place_or_time(said.split()[1:], language)
        asked = f"What {is_} {it} {done[1]} {done[2]}?"
        yield Pair(f"{where} {is_} {it} {done[1]}?" if where else asked, answer)
    elif first in PLACES:
        where = _place_or_time(said.split(), language) or "Where"
        yield Pair(f"{where} {is_} {it}?", answer)
    elif " of " in subject and not done and first not in language.no_verbs:
        yield Pair(f"{asks} {is_} {it}?", answer)


def _place_or_time(words: Sequence[str], language: Language) -> str | None:
    """How one asks for what a small word and those behind it say, if they say where or when."""
    if len(words) < 2 or words[0] not in PLACES:
        return None
    if may_answer(words[1:2], "when", language.kinds):
        return "When"
    return "Where" if words[1][0].isupper() or words[1] in DETERMINERS else None


def _how_many(clause: str, language: Language) -> Iterator[Pair]:
    found = HAVE.match(clause)
    if found is None or not is_a_subject(found[1], language):
        return
    subject, have, words = found[1], found[2], found[3].split()
    number = list(takewhile(lambda word: may_answer([word], "how many", language.kinds), words))
    if number and len(number) < len(words) and words[len(number)].isalpha():
        things = words[len(number)]
        does = "does" if have == "has" else "do"
        question = f"How many {things} {does} {as_within(subject, language)} have?"
        answer = f"{capital(subject)} {have} {' '.join([*number, things])}."
        yield Pair(question, answer)


def _what_it_does(clause: str, named: set[str], language: Language) -> Iterator[Pair]:
    words = clause.split()
    for i, word in enumerate(words[1 : MOST_SUBJECT_WORDS + 1], start=1):
        before = {one.lower() for one in words[:i]}
        if not (before & named and _is_a_verb(word, language)):
            continue
        subject, behind = " ".join(words[:i]), words[i + 1 :]
        if not is_an_object(behind, language):
            return
        said = up_to_end(" ".join(words[i:]), language)
        if said and is_a_subject(subject, language):
            it = as_within(subject, language)
            yield Pair(f"What does {it} {_plain(word)}?", f"{capital(subject)} {said}.")
        return


def _is_a_verb(word: str, language: Language) -> bool:
    """As far as its last letters tell, behind a name."""
    is_third = word.islower() and word.isalpha() and word.endswith("s")
    is_small = word in BE | POINTING | language.no_verbs | language.function_words
    return is_third and not is_small and not word.endswith(("ss", "us"))


def _plain(verb: str) -> str:
    if verb in OWN_FORMS:
        return OWN_FORMS[verb]
    if verb.endswith("ies"):
        return f"{verb[:-3]}y"
    return verb[:-2] if re.search(r"(?:sh|ch|x|ss|zz|o)es$", verb) else verb[:-1]
