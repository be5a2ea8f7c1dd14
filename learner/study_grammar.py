"""What a study pair may say: words of the text, and the small words that join them.

A small model spells new names wrongly ("Corvus" for Corvid), asks about things that stand in its
examples, and answers with what it always says. Most of that never gets past the filters of
`study.py`, so a document was left without a single question on its fact. So while a pair is written
only tokens of the text's own words are open, and those of its language's function words; a question
may not end before it has one of the text's names, if there are any, nor an answer before it says
something that the question does not; and neither says one word of the text twice.

Knows nothing of models. Called by `study.py`, for each token that is written.

Source: constrained decoding as in Hokamp and Liu, 2017 (arXiv:1704.07138): what must occur is
enforced where a line would end; here what may occur is bounded too.

V vocabulary.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from learner.study_languages import Language
from learner.study_words import WORD, named_in, words_of
from riverrun.tokenizer import Tokenizer

MARKER = "\nAnswer:"
MOST_QUESTION_TOKENS, MOST_ANSWER_TOKENS = 20, 22
"""What is longer mostly runs in a circle: of 82 pairs that were worth learning no question was, and
three answers were; of all that was written a third."""
LEAST_BYTES = 3
"""Of a word's first token, for the word to be known by it: one letter begins too many words."""
NEVER = b'.:;!?"()[]{}*_'
"""Single signs that neither line has, but for its end."""


class Signs:
    """The tokens that end something. Of one tokenizer; made once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.question = tokenizer.encode("?")[-1]
        self.stop = tokenizer.encode(".")[-1]
        self.line = tokenizer.encode("\n")[-1]
        self.marker = tokenizer.encode(MARKER)
        size = tokenizer.vocab_size
        spelled = [tokenizer.token_bytes(i) for i in range(size)]
        self.never = torch.tensor(
            [b"\n" in one or (len(one) == 1 and one in NEVER) for one in spelled]
        )
        for special in tokenizer.special_ids:
            self.never[special] = True


class Grammar:
    """Of the pairs on one text."""

    def __init__(self, tokenizer: Tokenizer, signs: Signs, language: Language, text: str) -> None:
        self._tokenizer, self._signs = tokenizer, signs
        small = language.function_words | language.asking
        words = dict.fromkeys(WORD.findall(text))
        # "The" of The Red Lighthouse names nothing.
        self._names = named_in(text, tokenizer) - small
        self._words = words_of(text) - small
        self._first: dict[int, set[str]] = {}
        for word in words:
            first = tokenizer.encode(f" {word}")[0]
            long = len(tokenizer.token_bytes(first)) >= LEAST_BYTES
            if long and word.lower() in self._words:
                self._first.setdefault(first, set()).add(word.lower())
        # A word that begins a sentence may stand within one.
        forms = [form for word in words for form in self._forms(word)]
        joining = both_cases(language.function_words - language.asking)
        own = self._open([*forms, *joining])
        own[tokenizer.encode(text)] = True
        self._answer_V = own & ~signs.never
        self._question_V = (own | self._open(small)) & ~signs.never
        # Only a text that has points within its words ("5.4") can spell them.
        self._has_points = any("." in word for word in words)

    def allowed(self, written: Sequence[int]) -> Tensor:
        """Which token may come next, (V,) bool. written: a pair so far, as `study.py` reads it."""
        signs = self._signs
        if signs.question not in written:
            too_long = len(written) >= MOST_QUESTION_TOKENS
            return self._given_up() if too_long else self._in_question(written)
        end = list(written).index(signs.question)
        rest = written[end + 1 :]
        if len(rest) >= len(signs.marker) + MOST_ANSWER_TOKENS:
            return self._given_up()
        if len(rest) < len(signs.marker):
            only_V = torch.zeros_like(self._answer_V)
            only_V[signs.marker[len(rest)]] = True
            return only_V
        return self._in_answer(written[:end], rest[len(signs.marker) :])

    def _given_up(self) -> Tensor:
        """Nothing but ends of lines."""
        only_V = torch.zeros_like(self._answer_V)
        only_V[self._signs.line] = True
        return only_V

    def _in_question(self, line: Sequence[int]) -> Tensor:
        said = words_of(self._tokenizer.decode(line))
        may_V = self._question_V.clone()
        self._close_said(may_V, said)
        may_V[self._signs.question] = not self._names or bool(self._names & said)
        return may_V

    def _in_answer(self, question: Sequence[int], line: Sequence[int]) -> Tensor:
        asked = words_of(self._tokenizer.decode(question))
        said = words_of(self._tokenizer.decode(line))
        may_V = self._answer_V.clone()
        may_V[question] = ~self._signs.never[question]
        self._close_said(may_V, said)
        is_news = bool((said & self._words) - asked)
        may_V[self._signs.stop] = is_news or self._has_points
        may_V[self._signs.line] = is_news
        return may_V

    def _close_said(self, may_V: Tensor, said: set[str]) -> None:
        may_V[[i for i, words in self._first.items() if words & said]] = False

    def _forms(self, word: str) -> tuple[str, ...]:
        return (word,) if word.lower() in self._names else (word, word.lower())

    def _open(self, words: Iterable[str]) -> Tensor:
        may_V = torch.zeros(self._tokenizer.vocab_size, dtype=torch.bool)
        for word in words:
            may_V[self._tokenizer.encode(f" {word}")] = True
        may_V[self._tokenizer.encode(",")] = True
        return may_V


def both_cases(words: Iterable[str]) -> list[str]:
    """Each as it is, and as it begins a sentence."""
    return sorted({form for word in words for form in (word, word.capitalize())})
