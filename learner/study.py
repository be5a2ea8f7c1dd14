"""Questions that the model asks itself about a document, answered with the document at hand.

What was read as prose can be recited, but not asked for: SmolLM2 knew eight of ten documents by
heart (0.3 nats a token) and answered six of their questions. So before a document's second pass
the model writes questions from fixed beginnings, and their answers, with the text in its context;
rehearsal then shows some of them in the form in which users ask. They are written within the
words of the text (`study_grammar.py`). Pairs whose answer says nothing, or something that is not in
the text, are dropped; so are questions that name nothing of the text ("Who is the artist?"):
learned, they give the invented painter the Mona Lisa.

Source: Knowledge-Instruct (arXiv 2504.05571) and SEAL (2506.10943), which ask large models and
train on everything; ours asks the model itself, greedily, and keeps what the text bears out.
Examples and beginnings are those of the text's language (`study_languages.py`).

Called by `lesson.py`; knows nothing of passes or losses.
"""

from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from learner.recipe import Recipe
from learner.speaker import speaker_of
from learner.study_grammar import MOST_ANSWER_TOKENS, Grammar, Signs
from learner.study_languages import LANGUAGES, Language, language_of
from learner.study_pair import ASKING_STEMS, FUNCTION_WORDS, STUDIED_TOKENS, Pair, stems
from learner.study_tellings import tellings
from learner.study_words import named_in, words_of
from riverrun.model.decoder import Decoder
from riverrun.model.write import Written, write_within
from riverrun.tokenizer import Tokenizer

PAIR_TOKENS = 48
MAX_ANSWER_CHARACTERS = 160

MOST_NATS = 0.5
"""Mean surprise of an answer's tokens: above it, what is said is what the rules left open."""
ENOUGH_PAIRS = 4
"""Of one document, with open questions where its own are fewer."""
MAX_PAIRS = 3
"""Of one document; those whose answer names something come first. On the 58 documents of the tuning
half the first three held 76 of the 107 pairs that say what users ask, in 158 of 255."""


class Student:
    """Writes pairs with the model that learns; holds only what never changes."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._prompts = {language: self._prompt(language) for language in LANGUAGES}
        self._signs = Signs(tokenizer)

    def study(self, model: Decoder, texts: Sequence[str]) -> list[list[Pair]]:
        """For each text the pairs that it bears out; a function of weights and texts alone."""
        speaker = speaker_of(model, self._recipe)
        pairs: list[list[Pair]] = [[] for _ in texts]
        languages = [language_of(text) for text in texts]
        for language, prompt in self._prompts.items():
            its = [i for i, one in enumerate(languages) if one == language]
            drafts = self._drafts(speaker, language, prompt, [texts[i] for i in its])
            for i, of_one in zip(its, drafts, strict=True):
                text = texts[i]
                named = named_in(text, self._tokenizer) - FUNCTION_WORDS
                own = worth_learning(of_one, text, named)
                pairs[i] = [*own, *tellings(text, language, named, ENOUGH_PAIRS - len(own))]
        return pairs

    def _prompt(self, language: Language) -> "Prompt":
        told = resources.files("learner").joinpath(language.prompt).read_text("utf-8")
        before, after = (self._tokenizer.encode(part) for part in told.split("{text}"))
        return Prompt(before, after, [self._tokenizer.encode(one) for one in language.beginnings])

    def _drafts(
        self, speaker: Decoder, language: Language, prompt: "Prompt", texts: Sequence[str]
    ) -> list[list["Draft | None"]]:
        grammars = [Grammar(self._tokenizer, self._signs, language, text) for text in texts]
        num = len(prompt.beginnings)
        written = write_within(
            speaker,
            [
                [*prompt.before, *self._tokenizer.encode(text)[:STUDIED_TOKENS], *prompt.after]
                for text in texts
            ],
            lambda i, tokens: grammars[i // num].allowed(tokens),
            openings=prompt.beginnings,
            max_tokens=PAIR_TOKENS,
            temperature=0.0,
            # The first line is the question, the second one the answer.
            stop_ids={self._signs.line},
            num_stops=2,
        )
        drafts = [self._draft(one) for one in written]
        return [drafts[i * num : (i + 1) * num] for i in range(len(texts))]

    def _draft(self, written: Written) -> "Draft | None":
        pair = pair_in(self._tokenizer.decode(written.tokens))
        if pair is None:
            return None
        begin = written.tokens.index(self._signs.question) + 1 + len(self._signs.marker)
        nats = written.nats[begin:]
        # What was not ended by the model itself runs in a circle.
        if len(nats) >= MOST_ANSWER_TOKENS:
            return None
        return Draft(pair, sum(nats) / len(nats))


class Draft(NamedTuple):
    """nats: by which the answer surprised its writer, a token; high where it was led elsewhere."""

    pair: Pair
    nats: float


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


def names_something(pair: Pair, named: set[str]) -> bool:
    """Whether the question has one of the text's names or numbers, if the text has any."""
    return not named or bool(named & words_of(pair.question))


def is_spelled(pair: Pair, text: str) -> bool:
    """Whether the question has no words but the text's, and those with which one asks."""
    return stems(pair.question) <= stems(text) | ASKING_STEMS


def worth_learning(drafts: Sequence[Draft | None], text: str, named: set[str]) -> list[Pair]:
    """Different pairs that the text bears out, whose question names something; the best first:
    those whose answer names something, and of them those that the model was surest of."""
    kept = {
        draft.pair: draft.nats
        for draft in drafts
        if draft is not None
        and draft.nats <= MOST_NATS
        and is_grounded(draft.pair, text)
        and is_spelled(draft.pair, text)
        and names_something(draft.pair, named)
    }

    def worth(pair: Pair) -> tuple[bool, float]:
        return not (words_of(pair.answer) - words_of(pair.question)) & named, kept[pair]

    return sorted(kept, key=worth)[:MAX_PAIRS]
