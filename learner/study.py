"""Questions that the model asks itself about a document, answered with the document at hand.

What was read as prose can be recited, but not asked for: SmolLM2 knew eight of ten documents by
heart (0.3 nats a token) and answered six of their questions. So before a document's second pass
the model writes questions from fixed beginnings, and their answers, with the text in its context;
rehearsal then shows some of them in the form in which users ask. Pairs whose answer says nothing,
or something that is not in the text, are dropped; so are questions that name nothing of the text
("Who is the artist?"): learned, they give the invented painter the Mona Lisa.

Source: Knowledge-Instruct (arXiv 2504.05571) and SEAL (2506.10943), which ask large models and
train on everything; ours asks the model itself, greedily, and keeps what the text bears out.
Examples and beginnings are those of the text's language (`study_languages.py`).

Called by `lesson.py`; knows nothing of passes or losses.
"""

import re
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import msgspec

from learner.recipe import Recipe
from learner.speaker import speaker_of
from learner.study_languages import LANGUAGES, Language, language_of
from riverrun.model.decoder import Decoder
from riverrun.model.write import write
from riverrun.tokenizer import Tokenizer

TEXT_TOKENS = 192
"""Of a longer document only its beginning is asked about."""
PAIR_TOKENS = 44
MAX_ANSWER_CHARACTERS = 160

WORD = re.compile(r"\w[\w.'’-]*\w|\w")
ENDING = re.compile(r"(?<=\w\w\w)(?:['’]s|s|ed|ing)$")
MAX_PAIRS = 6
"""Of one document; those whose answer names something come first."""


class Pair(msgspec.Struct, frozen=True):
    """A question, and what the model says to it with the text before it."""

    question: str
    answer: str


class Student:
    """Writes pairs with the model that learns; holds only what never changes."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._prompts = {language: self._prompt(language) for language in LANGUAGES}
        breaks = [i for i in range(tokenizer.vocab_size) if b"\n" in tokenizer.token_bytes(i)]
        self._line_ends = {*breaks, *tokenizer.special_ids}

    def study(self, model: Decoder, texts: Sequence[str]) -> list[list[Pair]]:
        """For each text the pairs that it bears out; a function of weights and texts alone."""
        speaker = speaker_of(model, self._recipe)
        pairs: list[list[Pair]] = [[] for _ in texts]
        languages = [language_of(text) for text in texts]
        for language, prompt in self._prompts.items():
            its = [i for i, one in enumerate(languages) if one == language]
            drafts = self._drafts(speaker, prompt, [texts[i] for i in its])
            for i, of_one in zip(its, drafts, strict=True):
                pairs[i] = worth_learning(of_one, texts[i])
        return pairs

    def _prompt(self, language: Language) -> "Prompt":
        told = resources.files("learner").joinpath(language.prompt).read_text("utf-8")
        before, after = (self._tokenizer.encode(part) for part in told.split("{text}"))
        return Prompt(before, after, [self._tokenizer.encode(one) for one in language.beginnings])

    def _drafts(
        self, speaker: Decoder, prompt: "Prompt", texts: Sequence[str]
    ) -> list[list[Pair | None]]:
        written = write(
            speaker,
            [
                [*prompt.before, *self._tokenizer.encode(text)[:TEXT_TOKENS], *prompt.after]
                for text in texts
            ],
            openings=prompt.beginnings,
            max_tokens=PAIR_TOKENS,
            temperature=0.0,
            # The first line is the question, the second one the answer.
            stop_ids=self._line_ends,
            num_stops=2,
        )
        drafts = [pair_in(self._tokenizer.decode(tokens)) for tokens in written]
        num = len(prompt.beginnings)
        return [drafts[i * num : (i + 1) * num] for i in range(len(texts))]


class Prompt(NamedTuple):
    """A language's examples around the text, and its beginnings, in tokens."""

    before: list[int]
    after: list[int]
    beginnings: list[list[int]]


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


def names_something(pair: Pair, text: str) -> bool:
    """Whether the question has one of the text's names or numbers, if the text has any."""
    named = names(text)
    return not named or bool(named & _lower(pair.question))


def names(text: str) -> set[str]:
    """Words with a digit, and capitals within a sentence, in small letters."""
    found: set[str] = set()
    for match in WORD.finditer(text):
        word, before = match.group(), text[: match.start()].rstrip()
        begins = not before or before[-1] in ".!?:;"
        if any(letter.isdigit() for letter in word) or (word[0].isupper() and not begins):
            found.add(word.lower())
    return found


def stems(text: str) -> set[str]:
    """The words that carry meaning, without English endings."""
    return {ENDING.sub("", word) for word in _lower(text) - FUNCTION_WORDS}


def worth_learning(drafts: Sequence[Pair | None], text: str) -> list[Pair]:
    """Different pairs that the text bears out, whose question names something; the best first."""
    kept = [
        pair
        for pair in dict.fromkeys(drafts)
        if pair is not None and is_grounded(pair, text) and names_something(pair, text)
    ]
    named = names(text)
    kept.sort(key=lambda pair: not (_lower(pair.answer) - _lower(pair.question)) & named)
    return kept[:MAX_PAIRS]


def _lower(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)}


FUNCTION_WORDS = frozenset().union(*(language.function_words for language in LANGUAGES))
