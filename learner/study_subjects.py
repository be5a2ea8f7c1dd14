"""Questions for who or what a text says something of. By rule: no model writes here.

A small model asks about what a sentence begins with: "Where does Nesta Holloway bake?" Learned,
that does not tell it who runs the bakery (the reversal curse: Berglund et al., 2023,
arXiv:2309.12288). In English and in German a question for the subject needs no other order of words
than the sentence has, so what is said of a name gives one:

    Nesta Holloway runs Crumb and Candle.            Who runs Crumb and Candle?
    Jonas Weir, the mayor of Fennimore Bay, ...      Who is the mayor of Fennimore Bay?
    The mayor of Fennimore Bay, Jonas Weir, ...      Who is the mayor of Fennimore Bay?
    Jonas Weir, who governs Fennimore Bay, ...       Who governs Fennimore Bay?
    The comet Lindt was discovered by Teresa Varga.  Who was the comet Lindt discovered by?
    The mountain of Tolmen is called Grauhorn.       What is the mountain of Tolmen called?
    A goose guards the tower of Hollin.              What guards the tower of Hollin?

One that names nothing ("Who won the match?") is none, unless the text has no other name and the
question says much. Called by `study.py`.

Source: Heilman and Smith, Good Question! Statistical Ranking for Question Generation, 2010, whose
rules work on parsed sentences; ours look at capitals and small words, and leave the rest alone.
"""

import re
from collections.abc import Iterator

from learner.study_clauses import (
    BE,
    ENDS,
    PARTICIPLE,
    RELATIVE,
    as_within,
    is_telling,
    short_sentences,
    up_to_end,
    who_or_what,
)
from learner.study_languages import Language
from learner.study_names import Name, is_a_thing, names_in
from learner.study_pair import Pair
from learner.study_words import words_of

PASSIVE = re.compile(rf"^(.+?) (is|are|was|were) ({PARTICIPLE}) by$")


def subject_questions(
    text: str, language: Language, named: set[str], num_wanted: int
) -> list[Pair]:
    """So many different ones at most, in the text's order.

    named: the words of the text that name something, in small letters.
    """
    found = dict.fromkeys(_found(text, language, named))
    return list(found)[:num_wanted]


def _found(text: str, language: Language, named: set[str]) -> Iterator[Pair]:
    asks = who_or_what(text, language)
    for sentence in short_sentences(text):
        for name in names_in(sentence, named, language):
            others = named - words_of(name.text)
            for pair in _said_of(name, sentence, asks, language):
                if is_telling(pair.question, others):
                    yield pair
        for pair in _said_of_some(sentence, language):
            if is_telling(pair.question, named):
                yield pair


def _said_of(name: Name, sentence: str, asks: str, language: Language) -> Iterator[Pair]:
    """Questions for the name, with their answers."""
    if not is_a_thing(name.text):
        return
    before, after = sentence[: name.first].rstrip(), sentence[name.end :]
    begins, article = _begins_clause(before, language)
    whole = f"{article}{name.text}"
    if begins and (said := _predicate(after, bool(article), name, language)):
        yield Pair(f"{asks} {said}?", f"{whole} {said}.")
    if begins or not language.declines:
        for is_what in (_apposition_behind(after, language), _apposition_before(before, language)):
            if is_what:
                is_it = f"{language.is_} {is_what}"
                yield Pair(f"{asks} {is_it}?", f"{whole} {is_it}.")
    relative = re.match(r", (\w+) ", after)
    if relative and relative[1] in language.relatives:
        said = up_to_end(after[relative.end() :], language)
        if said:
            yield Pair(f"{asks} {said}?", f"{whole} {said}.")
    passive = PASSIVE.match(before)
    if passive:
        thing, is_, done = passive.groups()
        told = as_within(thing, language)
        yield Pair(
            f"{language.who} {is_} {told} {done} by?", f"{thing} {is_} {done} by {name.text}."
        )
    between, question = language.naming
    if before.endswith(f" {between}"):
        thing = before.removesuffix(between).strip()
        if thing.split(" ")[0].lower() in language.articles:
            told = question.format(thing=as_within(thing, language))
            yield Pair(told, f"{thing} {between} {name.text}.")


def _said_of_some(sentence: str, language: Language) -> Iterator[Pair]:
    """Of a thing without a name, where a sentence begins with it."""
    found = re.match(r"(\w+) (\w+) ([a-zäöüß]+)\b", sentence)
    if found is None or found[1].lower() not in language.some:
        return
    is_verb = found[3] in BE or (language.declines or found[3].endswith(("s", "ed")))
    if found[3] in language.no_verbs or not is_verb:
        return
    said = up_to_end(sentence[found.end(2) :], language)
    if said:
        yield Pair(f"{language.what} {said}?", f"{found[1]} {found[2]} {said}.")


def _begins_clause(before: str, language: Language) -> tuple[bool, str]:
    """Whether a clause begins here, and with which article."""
    article = ""
    last = before.rpartition(" ")[2]
    if last.lower() in language.articles:
        article, before = f"{last.capitalize()} ", before[: -len(last)].rstrip()
        last = before.rpartition(" ")[2]
    starts = not before or before[-1] in ",;:" or last.lower() in language.clause_words
    return starts, article


def _predicate(after: str, has_article: bool, name: Name, language: Language) -> str:
    """What is said behind a name, if it begins with a verb, as far as that can be told: behind an
    article ("the Galdern tower") the next word may be what the name is of."""
    verb = re.match(r" ([a-zäöüß]+)\b", after)
    if verb is None or verb[1] in language.no_verbs:
        return ""
    if has_article and verb[1] not in BE and not (" " in name.text and verb[1].endswith("s")):
        return ""
    return up_to_end(after, language)


def _apposition_behind(after: str, language: Language) -> str:
    found = re.match(r", ([^,;:.!?]+)(?=[,.])", after)
    return up_to_end(found[1], language) if found and _is_a_noun(found[1], language) else ""


def _apposition_before(before: str, language: Language) -> str:
    if not before.endswith(","):
        return ""
    part = ENDS.split(before[:-1])[-1].strip()
    return as_within(part, language) if _is_a_noun(part, language) else ""


def _is_a_noun(part: str, language: Language) -> bool:
    """Whether words are a noun with its article and what goes with it, not a clause."""
    words = part.split()
    if len(words) < 2 or words[0].lower() not in language.articles:
        return False
    if language.declines:
        return words[1][0].isupper()
    head = RELATIVE.split(part)[0].split()
    return not any(word in BE for word in head)
