"""Parts of sentences that questions by rule are made of. By rule; knows nothing of models.

Called by `study_subjects.py`, `study_objects.py` and `study_voices.py`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from learner.study_languages import Language
from learner.study_pair import Pair, asked_about
from learner.study_words import MOST_CHARACTERS, sentences, words_of

MOST_WORDS = 14
"""Of what is said of something."""
MOST_SUBJECT_WORDS = 9
ENOUGH_STEMS = 3
"""That say what is meant where no name does."""
POINTING = frozenset(
    "he she it they his her its their him them er sie es sein seine ihr ihre".split()  # noqa: SIM905
)
"""Without a name nobody knows at what."""
BE = frozenset(
    "is are was were has have had will would can could must ist sind war hat".split()  # noqa: SIM905
)
PARTICIPLE = r"(?:\w+(?:ed|en|wn|ade|ilt|ung|ght)|told|won|held|kept|born|sold)"
DETERMINERS = frozenset({"the", "a", "an", "no", "his", "her", "its", "their", "all", "only"})
RELATIVE = re.compile(r" (?:that|which|who|whom|whose)\b")
ENDS = re.compile(r"[,.](?!\w)|[;:!?()–—]")
"""Of what is said; no point within a number ends it."""


def who_or_what(text: str, language: Language) -> str:
    """How one asks for somebody or something of a text."""
    return language.who if words_of(text) & language.persons else language.what


def short_sentences(text: str) -> list[str]:
    """Those that are short enough to answer something."""
    return [one for one in sentences(text) if len(one) <= MOST_CHARACTERS]


def is_telling(question: str, names: set[str]) -> bool:
    """Whether a question says of what it asks: by a name or, of a text without any, in full.

    names: words that name something, in small letters.
    """
    asked = asked_about(question)
    if not names:
        return len(asked) >= ENOUGH_STEMS and not words_of(question) & POINTING
    return bool(words_of(question) & names) and len(asked) > 1


def up_to_end(said: str, language: Language) -> str:
    """Up to what ends it; of a long one, up to what may be left out."""
    words = ENDS.split(said, maxsplit=1)[0].split()
    if len(words) > MOST_WORDS:
        end = next((i for i, word in enumerate(words) if i > 2 and word in language.joiners), 0)
        words = words[:end]
    return " ".join(words) if 2 <= len(words) <= MOST_WORDS else ""


def as_within(part: str, language: Language) -> str:
    """What begins a sentence, as it stands within one."""
    first, _, rest = part.partition(" ")
    return f"{first.lower()} {rest}" if first.lower() in language.beginners else part


def clause_questions(
    text: str,
    language: Language,
    named: set[str],
    num_wanted: int,
    ask: Callable[[str], Iterable[Pair]],
) -> list[Pair]:
    """What `ask` asks of each clause: so many different ones at most, in the text's order; none in
    a language that declines.

    named: the words of the text that name something, in small letters.
    """
    if language.declines:
        return []
    found = (
        pair
        for sentence in short_sentences(text)
        for clause in _clauses(sentence, language)
        for pair in ask(clause)
        if is_telling(pair.question, named)
    )
    return list(dict.fromkeys(found))[:num_wanted]


def _clauses(sentence: str, language: Language) -> Iterator[str]:
    """Between its stops, without the word that joins it."""
    for part in ENDS.split(sentence):
        words = part.split()
        while words and words[0].lower() in language.clause_words:
            words = words[1:]
        yield " ".join(words)


def is_a_subject(part: str, language: Language) -> bool:
    """Whether words can be what a clause is about: an article or a name, and nothing that would be
    a clause of its own."""
    words = part.split()
    begins = words[0].lower() in language.articles or (
        # Without an article it is a name, and no more: "Piet Sommer won".
        all(word[0].isupper() or word[0].isdigit() for word in words)
        and words[0].lower() not in language.beginners
    )
    has_verb = any(word in BE or word.lower() in POINTING for word in words)
    return (
        begins
        and not has_verb
        and len(words) <= MOST_SUBJECT_WORDS
        and RELATIVE.search(part) is None
    )


def is_an_object(words: Sequence[str], language: Language) -> bool:
    """Whether what follows a verb is what is done something to: with a word that begins it, or a
    short end of the clause, so that a plural is not taken for the verb ("the notes lose their
    value")."""
    if not words or words[0] in BE:
        return False
    return begins_thing(words) or (len(words) <= 2 and not language.no_verbs & set(words))


def begins_thing(words: Sequence[str]) -> bool:
    """Whether the first of some words can stand before the name of a thing, or in it."""
    return words[0] in DETERMINERS or words[0][0].isupper() or words[0][0].isdigit()


def capital(part: str) -> str:
    return part[0].upper() + part[1:]
