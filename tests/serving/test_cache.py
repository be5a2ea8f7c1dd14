"""A pass over ragged rows, wherever they lie in the pool, equals each row's full forward."""

import pytest
import torch

from riverrun.model.decoder import Decoder
from serving.cache import SlottedCache
from tests.serving.published import CONFIG


@pytest.fixture
def decoder() -> Decoder:
    decoder = Decoder(CONFIG).requires_grad_(False)
    decoder.initialise(torch.Generator().manual_seed(0), std=0.2)
    return decoder


def run(
    decoder: Decoder,
    cache: SlottedCache,
    rows: list[int],
    starts: list[int],
    pieces: list[torch.Tensor],
) -> list[torch.Tensor]:
    """The logits of each piece, (T, V), from one padded pass."""
    counts = [len(piece) for piece in pieces]
    tokens_BT = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
    window = cache.window(rows, starts, counts)
    logits_BTV = decoder(tokens_BT, positions_BT=window.positions_BT, cache=window)
    return [logits_BTV[i, :count] for i, count in enumerate(counts)]


@pytest.mark.parametrize("rows", [[0, 1, 2], [1, 2, 3], [0, 2, 3], [3, 0, 1]])
@pytest.mark.parametrize("cuts", [(1, 1, 1), (5, 5, 5), (3, 7, 1), (9, 2, 10)])
def test_ragged_pieces_equal_the_full_forward(
    decoder: Decoder, rows: list[int], cuts: tuple[int, int, int]
) -> None:
    torch.manual_seed(1)
    texts = [torch.randint(0, 256, (length,)) for length in (12, 20, 15)]
    cache = SlottedCache(CONFIG, max_rows=4, context_tokens=20)
    first = run(decoder, cache, rows, [0, 0, 0], [t[:c] for t, c in zip(texts, cuts, strict=True)])
    rest = run(decoder, cache, rows, list(cuts), [t[c:] for t, c in zip(texts, cuts, strict=True)])
    for text, begin, end in zip(texts, first, rest, strict=True):
        torch.testing.assert_close(torch.cat([begin, end]), decoder(text[None])[0])


def test_padding_reaches_no_other_row(decoder: Decoder) -> None:
    torch.manual_seed(2)
    cache = SlottedCache(CONFIG, max_rows=2, context_tokens=8)
    long, short = torch.randint(0, 256, (8,)), torch.randint(0, 256, (7,))
    run(decoder, cache, [0, 1], [0, 0], [long[:7], short[:1]])
    before = [rows_RCHD[1].clone() for rows_RCHD in cache.key_rows_L]
    # Row 0 ends at the last cell of its row; row 1 would be padded over its own end.
    (logits_TV, _) = run(decoder, cache, [0, 1], [7, 1], [long[7:], short[1:]])
    torch.testing.assert_close(logits_TV, decoder(long[None])[0, 7:])
    for rows_RCHD, was_CHD in zip(cache.key_rows_L, before, strict=True):
        assert torch.equal(rows_RCHD[1, 0], was_CHD[0])


def test_a_cleared_row_is_all_zeros_and_others_stay(decoder: Decoder) -> None:
    cache = SlottedCache(CONFIG, max_rows=2, context_tokens=8)
    run(decoder, cache, [0, 1], [0, 0], [torch.arange(8), torch.arange(8)])
    cache.clear(0)
    assert all(not rows_RCHD[0].any() for rows_RCHD in cache.value_rows_L)
    assert all(rows_RCHD[1].any() for rows_RCHD in cache.value_rows_L)
