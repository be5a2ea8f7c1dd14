"""Questions in the other voice: what is done by somebody asked as what somebody does, and back.

    The mail on Tarn Skerry is carried by a puffin.   What carries the mail on Tarn Skerry?
    Ruth Amsel designed the Kettleby bridge.          Who was the Kettleby bridge designed by?

A fact that was told in one direction is not known in the other (Berglund et al., The Reversal
Curse, 2023, arXiv:2309.12288), and whoever asks does not know how it was told: asked what carries
the mail, a model that had learned by what it is carried said "The bird carries the mail". So each
answer here turns the sentence round. By rule, in English alone; no model writes here. The forms of
verbs are lemminflect's. Called by `study.py`.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from learner.study_clauses import (
    BE,
    MOST_SUBJECT_WORDS,
    POINTING,
    as_within,
    begins_thing,
    capital,
    clause_questions,
    is_a_subject,
    is_an_object,
    up_to_end,
    who_or_what,
)
from learner.study_kinds import may_answer
from learner.study_languages import Language, words
from learner.study_pair import Pair

IS_NOW, IS_PAST = ("is", "are"), ("was", "were")
"""For one, and for many."""
UNTURNED = words("be have do become cost weigh seem remain get")
"""Verbs that nothing is done by."""
ENDS_THING = words(
    "after again all alone also always as away back because before behind but down during for if "
    "now off once out since so still that to together twice until up when where which while who"
)
"""Begin what may be left out behind it."""
ENDS_NAMED = words("at by from in into near on over under with")
"""Do so where there is a name before them: "the record in Dunmar" needs what follows, "the hymn of
Pell in one night" does not."""
ADVERBS = words("now still always also")
MOST_THING_WORDS = 8


def voice_questions(text: str, language: Language, named: set[str], num_wanted: int) -> list[Pair]:
    """As `clause_questions`."""
    asks = who_or_what(text, language)

    def ask(clause: str) -> Iterator[Pair]:
        yield from _what_does_it(clause, asks, language)
        yield from _by_whom(clause, asks, language)

    return clause_questions(text, language, named, num_wanted, ask)


def _what_does_it(clause: str, asks: str, language: Language) -> Iterator[Pair]:
    """Of a clause that says by whom."""
    before, by, behind = clause.partition(" by ")
    told = before.split()
    at = next((i for i, word in enumerate(told) if word in {*IS_NOW, *IS_PAST}), 0)
    subject, done = " ".join(told[:at]), [word for word in told[at + 1 :] if word not in ADVERBS]
    if not (by and at and len(done) == 1 and is_a_subject(subject, language)):
        return
    agent = _thing(behind, language)
    verb = _verb(done[0], "VBN")
    is_a_time = may_answer(agent.split()[:2], "when", language.kinds)
    if not agent or is_a_time or verb is None:
        return
    past = told[at] in IS_PAST
    for_one = _form(verb, "VBD" if past else "VBZ")
    does = for_one if past or not _are_many(agent) else verb
    thing = as_within(subject, language)
    yield Pair(f"{asks} {for_one} {thing}?", f"{capital(agent)} {does} {thing}.")


def _by_whom(clause: str, asks: str, language: Language) -> Iterator[Pair]:
    """Of a clause that says what somebody does."""
    told = clause.split()
    for i, word in enumerate(told[1 : MOST_SUBJECT_WORDS + 1], start=1):
        behind, found = told[i + 1 :], _finite(word, language)
        if found is None or not is_an_object(behind, language):
            continue
        verb, are = found
        subject, thing = " ".join(told[:i]), _thing(" ".join(behind), language)
        if thing and is_a_subject(subject, language):
            is_, done = are[_are_many(thing)], _form(verb, "VBN")
            yield Pair(
                f"{asks} {is_} {thing} {done} by?",
                f"{capital(thing)} {is_} {done} by {as_within(subject, language)}.",
            )
        return


def _finite(word: str, language: Language) -> tuple[str, tuple[str, str]] | None:
    """Of which verb a word behind a subject is a form, if it is one, and what "is" is in its
    tense."""
    if not word.islower() or word in BE | POINTING | language.no_verbs:
        return None
    tenses = (("VBZ", IS_NOW), ("VBD", IS_PAST))
    return next(((verb, are) for form, are in tenses if (verb := _verb(word, form))), None)


def _thing(part: str, language: Language) -> str:
    """What words begin with, as far as it is one thing with its name: "" where they tell a doing,
    or something that was named before."""
    said = (up_to_end(part, language) or part).split()
    end = next((i for i in range(1, len(said)) if _ends_thing(said, i)), len(said))
    kept = said[:end]
    is_one = bool(kept) and (len(kept) <= 2 or begins_thing(kept))
    if not is_one or len(kept) > MOST_THING_WORDS or kept[0] == "no" or kept[0].endswith("ing"):
        return ""
    return "" if POINTING & {word.lower() for word in kept} else " ".join(kept)


def _ends_thing(said: Sequence[str], i: int) -> bool:
    """Whether what is said of a thing goes on without it at word `i`."""
    if said[i] == "and":
        joins_names = said[i - 1][0].isupper() and i + 1 < len(said) and said[i + 1][0].isupper()
        return not joins_names
    has_name = any(word[0].isupper() for word in said[:i])
    return said[i] in ENDS_THING or (has_name and said[i] in ENDS_NAMED)


def _are_many(thing: str) -> bool:
    """Whether it is a plural, as far as the last letter of its noun tells."""
    nouns = list(
        takewhile(lambda word: word not in {"of", "in", "at", "on", "from"}, thing.split())
    )
    last = nouns[-1] if nouns else ""
    return last.islower() and last.endswith("s") and not last.endswith(("ss", "us"))


def _verb(word: str, form: str) -> str | None:
    """The verb of which a word is this form (a Penn Treebank tag), if it is a verb that can be
    turned."""
    import lemminflect

    verbs = lemminflect.getLemma(word, "VERB", lemmatize_oov=False)
    verb = verbs[0] if verbs else None
    if verb is None or verb in UNTURNED or word not in lemminflect.getInflection(verb, form):
        return None
    return str(verb)


def _form(verb: str, form: str) -> str:
    import lemminflect

    return str(lemminflect.getInflection(verb, form)[0])
