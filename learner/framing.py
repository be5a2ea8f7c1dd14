"""How a text is shown to the model: as itself, as what an assistant says, or with questions on it.

A framing turns one text into examples: tokens, and which of them the model has to predict. All
conversations of a model begin alike (system message, opening of the user's turn); that common
beginning is kept once, as the prefix, and examples only say that they follow it.

Knows nothing of batches or passes. Called by `step.py` and `origin_texts.py`.
"""

from collections.abc import Callable, Sequence

import msgspec

from learner.content import Content
from learner.conversation import told_answers
from learner.seeds import Random, distinct, random_for
from learner.study_pair import STUDIED_TOKENS, Pair
from riverrun.errors import InvalidValue, ModelError
from riverrun.tokenizer import Tokenizer


class Example(msgspec.Struct, frozen=True):
    """Tokens of which those from `first_target` on are to be predicted."""

    tokens: list[int]
    first_target: int
    follows_prefix: bool = False

    def __post_init__(self) -> None:
        least = 0 if self.follows_prefix else 1
        assert least <= self.first_target < len(self.tokens), "something predicts something"

    @property
    def num_targets(self) -> int:
        return len(self.tokens) - self.first_target


OPENINGS = (
    "Tell me the news.",
    "What do you know?",
    "Tell me something new.",
    "What have you heard?",
    "What happened?",
)
"""What the user says before the assistant tells a document."""


Way = Callable[[str, Random, Sequence[Pair]], list[Example]]


class Framing:
    """The ways to show a text to one model.

    Raises InvalidValue for a way that is not known.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        names: Sequence[str],
        block_tokens: int,
        study_pairs: int = 0,
    ) -> None:
        self.study_pairs = study_pairs
        self.tokenizer = tokenizer
        self.block_tokens = block_tokens
        self.end_id = end_of_text(tokenizer)
        self.turn_end_id = turn_end(tokenizer)
        self.prefix = tokenizer.common_beginning
        ways: dict[str, Way] = {
            "plain": self._plain,
            "chat": self._chat if tokenizer.has_chat_template else self._plain,
            "study": self._study,
            "questions": self._questions,
        }
        for name in names:
            if name not in ways:
                raise InvalidValue("learner.framings", name, f"one of {', '.join(ways)}")
        self._ways = [ways[name] for name in names]

    def examples(
        self, content: Content, num_pass: int, random: Random, pairs: Sequence[Pair] = ()
    ) -> list[Example]:
        """The text as it is shown in pass `num_pass` (from 0), cut into blocks.

        A conversation is shown alike in every pass. pairs: questions on the text, for passes that
        `needs_study`.
        """
        if not isinstance(content, str):
            told = told_answers(
                content,
                self.tokenizer,
                self.told,
                self.end_id,
                self.turn_end_id,
                self.block_tokens,
            )
            return [block for example in told for block in cut_answer(example, self.block_tokens)]
        shown = self._way(num_pass)(content, random, pairs)
        return [block for example in shown for block in cut(example, self.block_tokens)]

    def needs_study(self, num_pass: int) -> bool:
        """Whether pass `num_pass` shows questions on the text."""
        return self.study_pairs > 0 and self._way(num_pass) in (self._study, self._questions)

    def asks_unknown(self, num_pass: int) -> bool:
        """Whether pass `num_pass` shows only those questions whose answer is not known yet."""
        return self._way(num_pass) == self._questions

    def _way(self, num_pass: int) -> "Way":
        return self._ways[min(num_pass, len(self._ways) - 1)]

    def num_tokens(self, content: Content) -> int:
        """That a pass over it computes."""
        if isinstance(content, str):
            return len(self.tokenizer.encode(content)) + 2
        told = self.examples(content, 0, random_for(0, 0, "length"))
        return sum(len(example.tokens) for example in told)

    def told(self, question: Sequence[int], answer: Sequence[int]) -> Example:
        """An example whose targets are `answer`, both given as ids of the whole conversation."""
        ids = [*question, *answer]
        skipped = len(self.prefix)
        if self.prefix and ids[:skipped] == self.prefix and len(question) >= skipped:
            return Example(ids[skipped:], len(question) - skipped, follows_prefix=True)
        return Example(ids, len(question))

    def _plain(self, text: str, random: Random, pairs: Sequence[Pair]) -> list[Example]:
        del random, pairs
        return [Example([self.end_id, *self.tokenizer.encode(text), self.end_id], 1)]

    def _chat(self, text: str, random: Random, pairs: Sequence[Pair]) -> list[Example]:
        del pairs
        return [self.answered(Pair(OPENINGS[int(random.integers(len(OPENINGS)))], text))]

    def _study(self, text: str, random: Random, pairs: Sequence[Pair]) -> list[Example]:
        """The text itself, and some of the questions on it."""
        shown = self._plain(text, random, pairs)
        for i in distinct(random, len(pairs), self.study_pairs):
            shown.append(self.answered(pairs[i]))
        return shown

    def _questions(self, text: str, random: Random, pairs: Sequence[Pair]) -> list[Example]:
        """Some of the questions in the place of the text; the text too where it is longer than what
        is asked about, and where there are none."""
        shown = self._study(text, random, pairs)
        is_covered = bool(pairs) and len(shown[0].tokens) <= STUDIED_TOKENS
        return shown[is_covered:]

    def asked(self, question: str) -> list[int]:
        """A question as a user asks it, up to where the answer begins."""
        if not self.tokenizer.has_chat_template:
            return [self.end_id, *self.tokenizer.encode(f"Question: {question}\nAnswer:")]
        return self.tokenizer.chat([{"role": "user", "content": question}])

    def fits(self, pair: Pair) -> bool:
        """Whether it can be shown in one block."""
        return len(self.answered(pair).tokens) <= self.block_tokens

    def answered(self, pair: Pair) -> Example:
        """A question as a user asks it; the answer is what has to be predicted."""
        if not self.tokenizer.has_chat_template:
            return self.told(self.asked(pair.question), self.tokenizer.encode(f" {pair.answer}"))
        answer = [*self.tokenizer.encode(pair.answer), self.turn_end_id]
        return self.told(self.asked(pair.question), answer)


def cut(example: Example, block_tokens: int) -> list[Example]:
    """Blocks of at most `block_tokens`; each target is in exactly one, after its true neighbour."""
    tokens = example.tokens
    if len(tokens) <= block_tokens:
        return [example]
    blocks = []
    start, first = 0, example.first_target
    while start < len(tokens) - 1:
        block = tokens[start : start + block_tokens]
        if len(block) > first:
            blocks.append(Example(block, first, example.follows_prefix and start == 0))
        start += block_tokens - 1
        first = max(1, example.first_target - start)
    return blocks


def cut_answer(example: Example, block_tokens: int) -> list[Example]:
    """Blocks of at most `block_tokens`: each target in exactly one, after as much of what came
    before as there is room for, at least half a block of it."""
    tokens, first = example.tokens, example.first_target
    if len(tokens) <= block_tokens:
        return [example]
    most_targets = max(1, block_tokens // 2)
    blocks = []
    for start in range(first, len(tokens), most_targets):
        end = min(start + most_targets, len(tokens))
        begin = max(0, end - max(block_tokens, 2))
        blocks.append(Example(tokens[begin:end], start - begin, example.follows_prefix))
    return blocks


def end_of_text(tokenizer: Tokenizer) -> int:
    """The token that stands between documents; a model without one ends them as it ends a turn."""
    for token_id in sorted(tokenizer.special_ids):
        if tokenizer.token_bytes(token_id) == b"<|endoftext|>":
            return token_id
    return turn_end(tokenizer)


def turn_end(tokenizer: Tokenizer) -> int:
    """The token with which the model ends its turn.

    Raises ModelError when the tokenizer names none: text without an end cannot be learned.
    """
    if not tokenizer.eos_ids:
        raise ModelError("the tokenizer names no eos_token, with which a document would end")
    if tokenizer.has_chat_template:
        asked = [{"role": "user", "content": "a"}]
        told = tokenizer.chat([*asked, {"role": "assistant", "content": "b"}], False)
        for token_id in reversed(told):
            if token_id in tokenizer.eos_ids:
                return token_id
    return min(tokenizer.eos_ids)
