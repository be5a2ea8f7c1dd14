"""Questions that the model asks itself about a document, answered with the document at hand.

What was read as prose can be recited, but not asked for: SmolLM2 knew eight of ten documents by
heart (0.3 nats a token) and answered six of their questions. So before a document's second pass
the model writes questions from fixed beginnings, and their answers, with the text in its context;
rehearsal then shows some of them in the form in which users ask. Pairs whose answer says nothing,
or something that is not in the text, are dropped.

Source: Knowledge-Instruct (arXiv 2504.05571) and SEAL (2506.10943), which ask large models and
train on everything; ours asks the model itself, greedily, and keeps what the text bears out.
The example and the beginnings are English: text of other languages yields few pairs.

Called by `lesson.py`; knows nothing of passes or losses.
"""

import re
from collections.abc import Sequence
from importlib import resources

import msgspec

from learner.recipe import Recipe
from learner.speaker import speaker_of
from riverrun.model.decoder import Decoder
from riverrun.model.write import write
from riverrun.tokenizer import Tokenizer

BEGINNINGS = (" Who", " What is the", " Which", " Where", " What does", " In which")
TEXT_TOKENS = 192
"""Of a longer document only its beginning is asked about."""
PAIR_TOKENS = 44
MAX_ANSWER_CHARACTERS = 160

WORD = re.compile(r"\w[\w.'’-]*\w|\w")
ENDING = re.compile(r"(?<=\w\w\w)(?:['’]s|s|ed|ing)$")
_FUNCTION_WORDS = """
a an and are as at be been by called did do does for from had has have in is it its name named of on
or that the their this to was were what when where which who why will with
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


class Pair(msgspec.Struct, frozen=True):
    """A question, and what the model says to it with the text before it."""

    question: str
    answer: str


class Student:
    """Writes pairs with the model that learns; holds only what never changes."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        prompt = resources.files("learner").joinpath("study_prompt.txt").read_text("utf-8")
        before, after = prompt.split("{text}")
        self._before, self._after = tokenizer.encode(before), tokenizer.encode(after)
        self._beginnings = [tokenizer.encode(words) for words in BEGINNINGS]
        breaks = [i for i in range(tokenizer.vocab_size) if b"\n" in tokenizer.token_bytes(i)]
        self._line_ends = {*breaks, *tokenizer.special_ids}

    def study(self, model: Decoder, texts: Sequence[str]) -> list[list[Pair]]:
        """For each text the pairs that it bears out; a function of weights and texts alone."""
        prompts = [
            [*self._before, *self._tokenizer.encode(text)[:TEXT_TOKENS], *self._after]
            for text in texts
        ]
        written = write(
            speaker_of(model, self._recipe),
            prompts,
            openings=self._beginnings,
            max_tokens=PAIR_TOKENS,
            temperature=0.0,
            # The first line is the question, the second one the answer.
            stop_ids=self._line_ends,
            num_stops=2,
        )
        drafts = [pair_in(self._tokenizer.decode(tokens)) for tokens in written]
        num = len(self._beginnings)
        return [_grounded(drafts[i * num : (i + 1) * num], text) for i, text in enumerate(texts)]


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


def stems(text: str) -> set[str]:
    """The words that carry meaning, without English endings."""
    words = {word.lower() for word in WORD.findall(text)} - FUNCTION_WORDS
    return {ENDING.sub("", word) for word in words}


def _grounded(drafts: Sequence[Pair | None], text: str) -> list[Pair]:
    kept = [pair for pair in drafts if pair is not None and is_grounded(pair, text)]
    return list(dict.fromkeys(kept))
