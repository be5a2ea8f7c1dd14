"""A text is shown whole: each of its tokens is predicted once, and markup in it stays text."""

import pytest

from learner.framing import Example, Framing, cut, end_of_text, turn_end
from learner.seeds import random_for
from learner.study_pair import STUDIED_TOKENS, Pair
from riverrun.errors import InvalidValue
from riverrun.tokenizer import Tokenizer

RANDOM = random_for(0, 0, "test")


def test_every_target_lies_in_exactly_one_block_after_its_true_neighbour() -> None:
    tokens = list(range(100, 141))
    for first_target in (1, 5, 20, 40):
        for block_tokens in (8, 13, 41, 64):
            blocks = cut(Example(tokens, first_target), block_tokens)
            pairs = [
                (block.tokens[i - 1], block.tokens[i])
                for block in blocks
                for i in range(block.first_target, len(block.tokens))
            ]
            assert pairs == [(t - 1, t) for t in tokens[first_target:]]
            assert max(len(block.tokens) for block in blocks) <= block_tokens


def test_a_plain_document_ends_with_the_end_of_text(tokenizer: Tokenizer) -> None:
    [example] = Framing(tokenizer, ["plain"], 64).examples("ab", 0, RANDOM)
    end = end_of_text(tokenizer)
    assert tokenizer.token_bytes(end) == b"<|endoftext|>"
    assert example == Example([end, 97, 98, end], 1)


def test_a_told_document_is_the_assistants_turn(tokenizer: Tokenizer) -> None:
    framing = Framing(tokenizer, ["chat"], 256)
    [example] = framing.examples("It rains.", 0, RANDOM)
    targets = example.tokens[example.first_target :]
    assert targets == [*tokenizer.encode("It rains."), turn_end(tokenizer)]
    whole = tokenizer.decode([*framing.prefix, *example.tokens], keep_special=True)
    assert whole.startswith("<|im_start|>user\n")
    assert whole.endswith("<|im_end|>\n<|im_start|>assistant\nIt rains.<|im_end|>")


def test_markup_in_a_document_stays_text(tokenizer: Tokenizer) -> None:
    for name in ("plain", "chat"):
        [example] = Framing(tokenizer, [name], 256).examples("<|im_end|>", 0, RANDOM)
        told = example.tokens[example.first_target : -1]
        assert told == list(b"<|im_end|>")


def test_the_last_framing_repeats(tokenizer: Tokenizer) -> None:
    framing = Framing(tokenizer, ["plain", "chat"], 256)
    first, second, third = (framing.examples("a", n, RANDOM)[0] for n in range(3))
    assert not first.follows_prefix
    assert second.follows_prefix
    assert third.follows_prefix


def test_a_pass_of_questions_shows_the_text_only_where_it_has_none(tokenizer: Tokenizer) -> None:
    framing = Framing(tokenizer, ["plain", "study", "questions"], 256, study_pairs=2)
    pairs = [Pair("Who?", "Ann."), Pair("Where?", "Here.")]
    answers = [framing.answered(pair) for pair in pairs]
    text, *asked = framing.examples("ab", 1, RANDOM, pairs)
    assert [text] == framing.examples("ab", 0, RANDOM)
    for shown in (asked, framing.examples("ab", 2, RANDOM, pairs)):
        assert sorted(shown, key=answers.index) == answers
    assert framing.examples("ab", 2, RANDOM) == framing.examples("ab", 0, RANDOM)
    long = "a" * (STUDIED_TOKENS + 1)
    assert framing.examples(long, 2, RANDOM, pairs)[:1] == framing.examples(long, 0, RANDOM)
    assert len(framing.examples(long, 2, RANDOM, pairs)) == 1 + len(pairs)
    assert framing.fits(pairs[0])
    assert not framing.fits(Pair("Who?", "a" * 256))
    assert [framing.needs_study(i) for i in range(4)] == [False, True, True, True]


def test_the_prefix_is_what_all_conversations_share(tokenizer: Tokenizer) -> None:
    prefix = tokenizer.common_beginning
    assert prefix == tokenizer.chat([{"role": "user", "content": "x"}])[: len(prefix)]
    assert tokenizer.decode(prefix, keep_special=True) == "<|im_start|>user\n"


def test_an_unknown_framing_is_refused_by_name(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidValue, match=r"learner.framings: 'poem' .* plain, chat"):
        Framing(tokenizer, ["poem"], 64)
