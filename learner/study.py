"""Questions that the model asks itself about a document, answered with the document at hand.

What was read as prose can be recited, but not asked for: SmolLM2 knew eight of ten documents by
heart (0.3 nats a token) and answered six of their questions. So before a document's second pass
the model writes questions from fixed beginnings, and their answers, with the text in its context;
rehearsal then shows some of them in the form in which users ask. They are written within the
words of the text (`study_grammar.py`), and kept where the text bears them out (`study_worth.py`).
Beside them stand questions for the subjects of its sentences, for what is said of them, both in
the other voice too, and open ones, all by rule; and what was asked of earlier documents on the same
matter, whose words an answer takes that says the same (`study_agree.py`).

Source: Knowledge-Instruct (arXiv 2504.05571) and SEAL (2506.10943), which ask large models and
train on everything; ours asks the model itself, greedily, and keeps what the text bears out.
Examples and beginnings are those of the text's language (`study_languages.py`).

Called by `lesson.py`; knows nothing of passes or losses.
"""

from collections.abc import Sequence
from functools import partial
from importlib import resources
from typing import NamedTuple

from learner import workers
from learner.recipe import Recipe
from learner.speaker import speaker_of
from learner.study_again import asked_again, is_of_a_kind
from learner.study_agree import Agreed
from learner.study_grammar import MOST_ANSWER_TOKENS, Grammar, Signs
from learner.study_kinds import may_answer
from learner.study_languages import LANGUAGES, Language, language_of
from learner.study_objects import object_questions
from learner.study_pair import FUNCTION_WORDS, STUDIED_TOKENS, Pair
from learner.study_subjects import subject_questions
from learner.study_tellings import tellings
from learner.study_voices import voice_questions
from learner.study_words import WORD, named_in
from learner.study_worth import Draft, different, pair_in, worth_learning
from riverrun.model.decoder import Decoder
from riverrun.model.write import Written, write_within
from riverrun.tokenizer import Tokenizer

PAIR_TOKENS = 48

ENOUGH_PAIRS = 4
"""Of one document, with open questions where its own are fewer."""
MAX_AGAIN = 2
"""Of questions of other documents that one answers too."""
MAX_SUBJECTS = MAX_OBJECTS = MAX_VOICES = 2
"""Of questions by rule, which come first: what they say is what the text says."""
MOST_CLOSED = 5
"""Of one document, before open ones."""


class Student:
    """Writes pairs with the model that learns; holds only what never changes."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._prompts = {language: self._prompt(language) for language in LANGUAGES}
        self._signs = Signs(tokenizer)

    def study(
        self, model: Decoder, texts: Sequence[str], known: Sequence[Pair] = ()
    ) -> list[list[Pair]]:
        """For each text the pairs that it bears out; a function of the arguments alone.

        known: what is asked of other documents, oldest first.
        """
        speaker = speaker_of(model, self._recipe)
        agreed = Agreed(known)
        pairs: list[list[Pair]] = [[] for _ in texts]
        languages = [language_of(text) for text in texts]
        for language, prompt in self._prompts.items():
            its = [i for i, one in enumerate(languages) if one == language]
            topics = [self._topic(texts[i], known) for i in its]
            drafts = workers.spread(partial(self._drafts, speaker, language, prompt), topics)
            num_own = len(prompt.beginnings)
            for i, topic, of_one in zip(its, topics, drafts, strict=True):
                pairs[i] = chosen(topic, language, of_one[:num_own], of_one[num_own:])
        return [agreed.take(its) for its in pairs]

    def _topic(self, text: str, known: Sequence[Pair]) -> "Topic":
        named = named_in(text, self._tokenizer) - FUNCTION_WORDS
        return Topic(text, named, asked_again(text, named, known, MAX_AGAIN + 1))

    def _prompt(self, language: Language) -> "Prompt":
        told = resources.files("learner").joinpath(language.prompt).read_text("utf-8")
        before, after = (self._tokenizer.encode(part) for part in told.split("{text}"))
        return Prompt(before, after, [self._tokenizer.encode(one) for one in language.beginnings])

    def _drafts(
        self, speaker: Decoder, language: Language, prompt: "Prompt", topics: Sequence["Topic"]
    ) -> list[list["Draft | None"]]:
        """Of each topic as many: first from the language's beginnings, then what is asked again."""
        encode = self._tokenizer.encode
        grammars = [Grammar(self._tokenizer, self._signs, language, one.text) for one in topics]
        openings = [self._openings(language, prompt, one) for one in topics]
        num = max((len(its) for its in openings), default=0)
        openings = [[*its, *[self._none] * (num - len(its))] for its in openings]
        written = write_within(
            speaker,
            [[*prompt.before, *encode(one.text)[:STUDIED_TOKENS], *prompt.after] for one in topics],
            lambda i, tokens: grammars[i // num].allowed(tokens),
            openings=openings,
            max_tokens=PAIR_TOKENS,
            temperature=0.0,
            # The first line is the question, the second one the answer.
            stop_ids={self._signs.line},
            num_stops=2,
        )
        begun = [len(opening) for its in openings for opening in its]
        drafts = [self._draft(*one) for one in zip(written, begun, strict=True)]
        return [drafts[i * num : (i + 1) * num] for i in range(len(topics))]

    def _openings(self, language: Language, prompt: "Prompt", topic: "Topic") -> list[list[int]]:
        """What the pairs on a text begin with, in tokens: a beginning that it cannot answer is not
        asked, and keeps its place."""
        words = WORD.findall(topic.text)
        return [
            *(
                tokens if may_answer(words, beginning, language.kinds) else self._none
                for beginning, tokens in zip(language.beginnings, prompt.beginnings, strict=True)
            ),
            *(
                [*self._tokenizer.encode(f" {pair.question}"), *self._signs.marker]
                for pair in topic.again
            ),
        ]

    @property
    def _none(self) -> list[int]:
        """An opening of what is not asked: ended before it begins."""
        return [self._signs.line] * 2

    def _draft(self, written: Written, num_begun: int) -> "Draft | None":
        """num_begun: tokens of it that the model had no choice of."""
        pair = pair_in(self._tokenizer.decode(written.tokens))
        if pair is None:
            return None
        end = written.tokens.index(self._signs.question) + 1
        nats = written.nats[end + len(self._signs.marker) :]
        asking = written.nats[num_begun:end]
        # What was not ended by the model itself runs in a circle.
        if len(nats) >= MOST_ANSWER_TOKENS:
            return None
        return Draft(pair, _mean(nats), _mean(asking) if asking else 0.0)


def chosen(
    topic: "Topic",
    language: Language,
    own: Sequence[Draft | None],
    again: Sequence[Draft | None],
) -> list[Pair]:
    """What is asked of a text. again: drafts of answers to `topic.again`, and maybe more."""
    alike = [
        draft
        for draft, former in zip(again, topic.again, strict=False)
        if draft is not None and is_of_a_kind(draft.pair, former)
    ]
    closed = different(
        [
            *subject_questions(topic.text, language, topic.named, MAX_SUBJECTS),
            *object_questions(topic.text, language, topic.named, MAX_OBJECTS),
            *voice_questions(topic.text, language, topic.named, MAX_VOICES),
            *worth_learning(alike, topic.text, topic.named, language.kinds)[:MAX_AGAIN],
            *worth_learning(own, topic.text, topic.named, language.kinds),
        ]
    )[:MOST_CLOSED]
    num_open = max(0, ENOUGH_PAIRS - len(closed))
    return [*closed, *tellings(topic.text, language, topic.named, num_open)]


def _mean(nats: Sequence[float]) -> float:
    return sum(nats) / len(nats)


class Topic(NamedTuple):
    """A text, its words that name something, and what was asked before and it answers too."""

    text: str
    named: set[str]
    again: list[Pair]


class Prompt(NamedTuple):
    """A language's examples around the text, and its beginnings, in tokens."""

    before: list[int]
    after: list[int]
    beginnings: list[list[int]]
