"""Streamed text is decoded text."""

import time

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from riverrun.model import zoo
from riverrun.text_stream import TextStream
from riverrun.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(zoo.locate("tiny", tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def sentence_piece(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """As Llama 2's: blanks are part of tokens, unknown characters fall back to bytes."""
    words = ["<unk>", "▁", "▁the", "▁a", "e", "é", "日", "the"]
    words += [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {word: i for i, word in enumerate(words)}
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True)
    )
    made.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    made.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens(["</s>"])
    directory = tmp_path_factory.mktemp("sentence-piece")
    made.save(str(directory / "tokenizer.json"))
    return Tokenizer(directory)


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*map(stream.push, ids), stream.finish()]


@given(st.text(max_size=60))
def test_the_deltas_of_a_text_are_the_text(byte_level: Tokenizer, text: str) -> None:
    deltas = streamed(byte_level, byte_level.encode(text))
    assert "".join(deltas) == text
    assert deltas[-1] == ""


@given(st.lists(st.integers(0, 300), max_size=60))
def test_the_deltas_of_any_tokens_are_their_decoding(byte_level: Tokenizer, ids: list[int]) -> None:
    assert "".join(streamed(byte_level, ids)) == byte_level.decode(ids)


@given(st.text(st.sampled_from("the a é日👩‍👧\n") | st.characters(codec="utf-8"), max_size=40))
def test_the_deltas_are_the_text_without_byte_level_tokens(
    sentence_piece: Tokenizer, text: str
) -> None:
    ids = sentence_piece.encode(text)
    assert "".join(streamed(sentence_piece, ids)) == sentence_piece.decode(ids)


def test_a_character_comes_whole_or_not_at_all(byte_level: Tokenizer) -> None:
    assert streamed(byte_level, list("a👧é".encode())) == ["a", *[""] * 3, "👧", "", "é", ""]
    assert streamed(byte_level, list("👧".encode()[:2])) == ["", "", "\ufffd"]


def test_special_tokens_have_no_text(byte_level: Tokenizer) -> None:
    assert streamed(byte_level, [256, 104, 259, 105, 257]) == ["", "h", "", "i", "", ""]


def test_smollm2_streams_as_it_decodes() -> None:
    directory = zoo.located("smollm2")
    if directory is None:
        pytest.skip("smollm2 is not in the cache; `riverrun model fetch smollm2`")
    tokenizer = Tokenizer(directory)
    # Every id once, special tokens and incomplete characters among them.
    ids = list(range(tokenizer.vocab_size))
    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("invalid", [False, True], ids=["text", "never a character"])
@pytest.mark.parametrize("kind", ["byte_level", "sentence_piece"])
def test_a_token_costs_the_same_after_many(
    request: pytest.FixtureRequest, kind: str, invalid: bool
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(kind)
    token = tokenizer.encode("e")[-1]
    if invalid:
        token = 0xF0 if kind == "byte_level" else 8 + 0xF0
    stream = TextStream(tokenizer)

    def best_of_a_thousand() -> float:
        times = []
        for _ in range(1000):
            start = time.perf_counter()
            stream.push(token)
            times.append(time.perf_counter() - start)
        return sorted(times)[500]

    early = best_of_a_thousand()
    for _ in range(20_000):
        stream.push(token)
    assert best_of_a_thousand() < 10 * early
