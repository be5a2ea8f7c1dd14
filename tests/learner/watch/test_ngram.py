"""The baseline is honest: what it charges could be written down and decoded."""

import hashlib
import math

import numpy as np
import pytest

from learner.watch.ngram import Ngram
from learner.watch.ngram_counts import sorted_firsts
from riverrun.errors import CheckpointError
from tests.learner.watch.texts import manpages

SMALL = {"max_order": 3, "context_bits": 8, "count_bits": 10}


@pytest.fixture(scope="module")
def learned() -> Ngram:
    """Far more text than its tables can hold."""
    ngram = Ngram(**SMALL)
    for text in manpages("en")[:60]:
        ngram.learn(text.encode())
    return ngram


def test_the_chances_of_the_next_byte_sum_to_one_however_full_the_tables_are(
    learned: Ngram,
) -> None:
    text = manpages("en")[0].encode()
    for end in range(100, 2000, 150):
        context = text[end - 20 : end]
        before = learned.bits(context)
        chances = [2 ** -(learned.bits(context + bytes([b])) - before) for b in range(256)]
        assert math.fsum(chances) == pytest.approx(1.0, abs=1e-6)


def test_an_empty_model_charges_eight_bits() -> None:
    assert Ngram().bits(b"anything") == pytest.approx(8 * 8)
    assert Ngram().learn(b"") == 0.0


def test_it_learns_what_repeats_and_a_language() -> None:
    ngram = Ngram()
    texts = [text.encode() for text in manpages("en")[:40]]
    bits = [ngram.learn(text) / len(text) for text in texts]
    assert sum(bits[-10:]) / 10 < 0.7 * sum(bits[:3]) / 3
    assert ngram.bits(texts[0]) / len(texts[0]) < 0.5 * bits[0]
    german = [text.encode() for text in manpages("de")[:5]]
    assert min(ngram.bits(t) / len(t) for t in german) > 1.5 * sum(bits[-10:]) / 10


def test_charging_counts_nothing_and_learning_charges_the_text_before_it_counts() -> None:
    ngram = Ngram(**SMALL)
    ngram.learn(b"the river runs to the sea" * 10)
    before = {name: tensor.clone() for name, tensor in ngram.tensors().items()}
    text = b"the river runs"
    charged = ngram.bits(text)
    assert all(bool((t == before[n]).all()) for n, t in ngram.tensors().items())
    assert ngram.learn(text) == pytest.approx(charged)


def test_it_never_grows_and_is_restored_to_the_same_future(learned: Ngram) -> None:
    sizes = {name: tensor.shape for name, tensor in Ngram(**SMALL).tensors().items()}
    assert {name: tensor.shape for name, tensor in learned.tensors().items()} == sizes
    tensors = {name: tensor.clone() for name, tensor in learned.tensors().items()}
    restored = Ngram(**SMALL)
    restored.restore_tensors(tensors, learned.num_bytes)
    for text in manpages("fr")[:5]:
        assert restored.learn(text.encode()) == learned.learn(text.encode())
    with pytest.raises(CheckpointError, match="another size"):
        Ngram().restore_tensors(tensors, 0)


def numbers(i: int) -> bytes:
    return " ".join(str(i * i * k * k) for k in range(150)).encode()


@pytest.mark.parametrize(
    ("sizes", "wanted"), [(SMALL, "56f01ef0dee3e9d1"), ({}, "f9731228477e45d9")]
)
def test_tables_are_those_of_one_order_after_the_other(sizes: dict[str, int], wanted: str) -> None:
    """The digests are of code that counted each order by itself: older checkpoints stay valid."""
    ngram = Ngram(**sizes)
    for i in range(40):
        ngram.learn(numbers(i))
    tables = b"".join(tensor.numpy().tobytes() for tensor in ngram.tensors().values())
    assert hashlib.sha256(tables).hexdigest()[:16] == wanted


def test_orders_never_meet() -> None:
    less, more = Ngram(**SMALL | {"max_order": 2}), Ngram(**SMALL)
    for i in range(40):
        less.learn(numbers(i))
        more.learn(numbers(i))
    longer = more.tensors()
    assert all(bool((table == longer[name]).all()) for name, table in less.tensors().items())


@pytest.mark.parametrize("num", [0, 1, 7, 1000])
def test_sorted_firsts_are_those_of_unique(num: int) -> None:
    drawn = np.random.default_rng(num).integers(0, 300, num)
    for own, known in zip(sorted_firsts(drawn), np.unique(drawn, return_index=True), strict=True):
        assert np.array_equal(own, known)
