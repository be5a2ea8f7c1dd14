"""What is frozen is what was read: all of it, once, and the held-out share apart."""

from pathlib import Path

import pytest

from learner.pretrain.corpus import PIECE_CHARACTERS, Corpus, Piece, cut, freeze
from riverrun.errors import InvalidValue
from riverrun.records import Document
from tests.learner.pretrain import small


def frozen(directory: Path, pieces: list[Piece], share: float = 0.2) -> Corpus:
    freeze(directory / "corpus", pieces, share, {"duplicate": 2})
    return Corpus(directory / "corpus")


def test_what_was_frozen_is_read_back_by_number(tmp_path: Path) -> None:
    pieces = small.pieces(50)
    corpus = frozen(tmp_path, pieces)
    found = [corpus.arrival(i) for i in range(len(corpus))]
    assert [a.clean_offset for a in found] == list(range(len(corpus)))
    learned = {(a.partition, a.raw_offset): a.document for a in found}
    aside = {document.text for document in corpus.held_out(10**9)}
    assert len(learned) + len(aside) == 50
    assert 2 <= len(aside) <= 20
    for piece in pieces:
        document = learned.get((piece.partition, piece.offset))
        assert (document is None) == (piece.document.text in aside)
        assert document in (None, piece.document)
    assert corpus.facts.rejected == {"duplicate": 2}


def test_held_out_is_by_hash_whatever_the_order(tmp_path: Path) -> None:
    one = frozen(tmp_path / "one", small.pieces()).held_out(10**9)
    other = frozen(tmp_path / "other", small.pieces()[::-1]).held_out(10**9)
    assert {d.text for d in one} == {d.text for d in other}


def test_fewer_held_out_bytes_come_from_all_over(tmp_path: Path) -> None:
    corpus = frozen(tmp_path, small.pieces(400), share=0.5)
    everything = corpus.held_out(10**9)
    some = corpus.held_out(2000)
    assert 10 < len(some) < 80
    assert some[0] == everything[0]
    assert everything.index(some[-1]) > 0.8 * len(everything)


@pytest.mark.parametrize("between", [" ", "\n", "", "é"])
def test_a_long_text_is_cut_into_pieces_that_lose_nothing(between: str) -> None:
    text = between.join(f"word{i}" for i in range(3000))
    document = Document(text=text, source="s", timestamp_ms=0)
    parts = [piece.document.text for piece in cut(Piece(0, 3, document))]
    assert max(map(len, parts)) <= PIECE_CHARACTERS
    assert min(map(len, parts[:-1])) >= PIECE_CHARACTERS // 2 - 1
    assert "".join("".join(parts).split()) == "".join(text.split())
    if between.isspace():
        assert all(part.split()[0] in text.split() for part in parts), "no word is cut"


def test_a_conversation_stays_whole() -> None:
    long = small.answered(1)
    messages = (long.messages[0], type(long.messages[0])("assistant", "a " * 3000))  # type: ignore[index]
    document = Document(text="x" * 9000, source="s", timestamp_ms=0, messages=messages)
    assert list(cut(Piece(0, 0, document))) == [Piece(0, 0, document)]


def test_nothing_to_train_on_says_what_was_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="rejected records: 3 bad_json"):
        freeze(tmp_path / "corpus", [], 0.1, {"bad_json": 3})
    assert list(tmp_path.iterdir()) == []
