"""Packing changes where an example is computed, never what."""

import torch

from learner.batch import Anchor, Text, build, chunks, shares
from learner.framing import Example
from learner.losses import logits_at, prediction_losses
from learner.packing import lay_out
from tests.learner import fakes

PREFIX = [250, 251, 252]
EXAMPLES = [
    Example([1, 2, 3, 4, 5], 1),
    Example([6, 7], 0, follows_prefix=True),
    Example([8, 9, 10, 11, 12, 13, 14], 4, follows_prefix=True),
    Example([1, 2, 3, 4, 5, 6, 7, 8, 9], 1),
]
CPU = torch.device("cpu")


def losses_of(examples: list[Example], row_tokens: int) -> list[list[float]]:
    """Of each example's targets, computed together."""
    texts = [Text(example, 1.0, owner) for owner, example in enumerate(examples)]
    batch = build(PREFIX, texts, [], row_tokens, CPU)
    with torch.no_grad():
        logits_NV, _ = logits_at(fakes.model(), batch, anchored=False)
        losses_N = prediction_losses(logits_NV, batch.targets_N)
    return [losses_N[batch.owners_N == owner].tolist() for owner in range(len(examples))]


def alone(example: Example) -> list[float]:
    """The losses of the whole sequence run by itself, as a plain decoder does."""
    skipped = len(PREFIX) if example.follows_prefix else 0
    tokens = (PREFIX if example.follows_prefix else []) + example.tokens
    with torch.no_grad():
        logits_TV = fakes.model()(torch.tensor([tokens]))[0]
    losses_T = prediction_losses(logits_TV[:-1], torch.tensor(tokens[1:]))
    return losses_T[skipped + example.first_target - 1 :].tolist()


def test_an_example_does_not_see_its_neighbours() -> None:
    for row_tokens in (8, 16, 64):
        for packed, example in zip(losses_of(EXAMPLES, row_tokens), EXAMPLES, strict=True):
            torch.testing.assert_close(packed, alone(example), rtol=1e-4, atol=1e-5)


def test_every_example_lies_in_exactly_one_row() -> None:
    lengths = [5, 30, 1, 1, 17, 40, 2, 9]
    rows = lay_out(lengths, 40)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    filled = [sum(lengths[i] for i in row) for row in rows]
    assert max(filled) - min(filled) <= max(lengths)


def test_equal_lengths_have_rows_of_their_own_unless_each_would_repeat_a_long_beginning() -> None:
    lengths = [45] * 7
    assert len(lay_out(lengths, 512)) == 7
    assert len(lay_out(lengths, 512, num_shared=24)) == 1
    assert len(lay_out(lengths, 128, num_shared=24)) == 3
    assert len(lay_out(lengths, 512, num_shared=2)) == 7


def test_shares_are_even_and_keep_everything_in_order() -> None:
    texts = [Text(example, 1.0, i) for i, example in enumerate(EXAMPLES)]
    kept = torch.zeros(3, 2)
    anchors = [Anchor(example, 1.0, kept, kept) for example in EXAMPLES[:2]]
    longest = max(len(example.tokens) for example in EXAMPLES)
    for num in (1, 2, 3, 100):
        found = shares(texts, anchors, num)
        assert len(found) == min(num, len(texts) + len(anchors))
        places = [place for share in found for place in share.places]
        assert sorted(places) == list(range(len(texts)))
        assert all(share.places == sorted(share.places) for share in found)
        assert all(share.texts == [texts[i] for i in share.places] for share in found)
        assert sum(len(share.anchors) for share in found) == len(anchors)
        filled = [
            sum(len(one.example.tokens) for one in [*share.texts, *share.anchors])
            for share in found
        ]
        assert min(filled) > 0
        assert max(filled) - min(filled) <= longest
    assert shares(texts, anchors, 1)[0] == (list(range(len(texts))), texts, anchors)


def test_chunks_keep_every_text_and_anchor_once_and_in_order() -> None:
    texts = [Text(example, 1.0, i) for i, example in enumerate(EXAMPLES)]
    kept = torch.zeros(3, 2)
    anchors = [Anchor(EXAMPLES[2], 1.0, kept, kept)]
    for chunk_tokens in (1, 8, 1000):
        groups = list(chunks(texts, anchors, chunk_tokens))
        assert [text for group, _ in groups for text in group] == texts
        assert [anchor for _, group in groups for anchor in group] == anchors
        assert all(group != ([], []) for group in groups)
    assert len(list(chunks(texts, anchors, 1000))) == 1
