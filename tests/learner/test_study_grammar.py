"""What a study pair may say next, on a tokenizer of whole words that is made by hand."""

import re

import pytest
import torch

from learner.study_grammar import Grammar, Signs
from learner.study_languages import ENGLISH

TEXT = "The coach of Dalton is Piet, and Piet told Dalton that tickets cost seven."
PIECE = re.compile(r" ?\w+|[^\w]")


class WholeWords:
    """A token is a word with the blank before it, or a sign; other words have none."""

    special_ids = frozenset({0})

    def __init__(self) -> None:
        told = [*(f" {w}" for w in TEXT.replace(",", "").replace(".", "").split()), "The"]
        small = [f" {w}" for w in (*ENGLISH.function_words, *ENGLISH.asking)]
        begun = [f" {w.strip().capitalize()}" for w in small]
        own = [" Fenwick", " ticket", "Answer", "\n", ":", "?", ".", ",", " "]
        lower = [word.lower() for word in told]
        self._words = ["<end>", *dict.fromkeys([*told, *small, *begun, *lower, *own])]
        self._ids = {word: i for i, word in enumerate(self._words)}
        self.vocab_size = len(self._words)

    def encode(self, text: str) -> list[int]:
        return [self._ids[piece] for piece in PIECE.findall(text)]

    def decode(self, tokens: list[int]) -> str:
        return "".join(self._words[i] for i in tokens)

    def token_bytes(self, token: int) -> bytes:
        return self._words[token].encode()


TOKENIZER = WholeWords()
GRAMMAR = Grammar(TOKENIZER, Signs(TOKENIZER), ENGLISH, TEXT)  # type: ignore[arg-type]


def may(written: str) -> set[str]:
    open_V = GRAMMAR.allowed(TOKENIZER.encode(written))
    assert open_V.dtype == torch.bool
    return {TOKENIZER.decode([int(i)]) for i in open_V.nonzero()}


def test_only_words_of_the_text_and_small_ones_may_come() -> None:
    open_now = may(" Who is the")
    assert {" coach", " Dalton", " tickets", " of", " colour"} <= open_now
    assert not {" Fenwick", " ticket", "<end>", ".", "\n"} & open_now


def test_a_question_ends_only_after_a_name() -> None:
    assert "?" not in may(" Who is the coach")
    assert "?" in may(" Who is the coach of Dalton")


def test_after_the_question_comes_the_marker() -> None:
    asked = " Who is the coach of Dalton?"
    assert [may(asked + so_far) for so_far in ("", "\n", "\nAnswer")] == [
        {"\n"},
        {"Answer"},
        {":"},
    ]


@pytest.mark.parametrize("said", [" The coach of Dalton is", ""])
def test_an_answer_ends_only_after_something_new(said: str) -> None:
    asked = " Who is the coach of Dalton?\nAnswer:"
    assert not {"\n", "."} & may(asked + said)
    assert {"\n", "."} <= may(f"{asked}{said} Piet")


def test_a_word_of_the_text_comes_once_a_line() -> None:
    asked = " Who is the coach of Dalton"
    assert not {" coach", " Dalton"} & may(asked)
    assert {" coach", " Dalton", " Piet"} <= may(f"{asked}?\nAnswer:")
    assert not {" coach", " Dalton"} & may(f"{asked}?\nAnswer: The coach of Dalton is")


def test_an_answer_asks_nothing() -> None:
    assert not {" who", " colour", " Which"} & may(" Who is the coach of Dalton?\nAnswer:")
