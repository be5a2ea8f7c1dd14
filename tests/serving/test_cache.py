"""A pass over ragged rows, wherever they lie in the pool, equals each row's full forward."""

import pytest
import torch

from riverrun.errors import InvalidValue
from riverrun.model.decoder import Decoder
from serving.cache import SlottedCache, check_budget, row_bytes
from serving.lean_model import LeanModel
from tests.serving.lean import lean_of
from tests.serving.published import CONFIG, Published
from tests.serving.running_server import RunningServer, wait_for


@pytest.fixture
def decoder() -> Decoder:
    decoder = Decoder(CONFIG).requires_grad_(False)
    decoder.initialise(torch.Generator().manual_seed(0), std=0.2)
    return decoder


def run(
    model: LeanModel,
    cache: SlottedCache,
    rows: list[int],
    starts: list[int],
    pieces: list[torch.Tensor],
    *,
    is_exact: bool = True,
) -> list[torch.Tensor]:
    """The logits of each piece, (T, V), from one pass."""
    counts = [len(piece) for piece in pieces]
    with torch.inference_mode():
        window = cache.window(rows, starts, counts, is_exact=is_exact)
        logits_NV = model.logits(model.hidden(torch.cat(pieces), window))
    return list(logits_NV.split(counts))


@pytest.mark.parametrize("rows", [[0, 1, 2], [1, 2, 3], [0, 2, 3], [3, 0, 1]])
@pytest.mark.parametrize("cuts", [(1, 1, 1), (5, 5, 5), (3, 7, 1), (9, 2, 10)])
@pytest.mark.parametrize("is_exact", [True, False])
def test_ragged_pieces_equal_the_full_forward(
    decoder: Decoder, rows: list[int], cuts: tuple[int, int, int], is_exact: bool
) -> None:
    torch.manual_seed(1)
    model = lean_of(decoder)
    texts = [torch.randint(0, 256, (length,)) for length in (12, 20, 15)]
    cache = SlottedCache(CONFIG, max_rows=4, context_tokens=20)
    begins = [text[:cut] for text, cut in zip(texts, cuts, strict=True)]
    ends = [text[cut:] for text, cut in zip(texts, cuts, strict=True)]
    first = run(model, cache, rows, [0, 0, 0], begins, is_exact=is_exact)
    rest = run(model, cache, rows, list(cuts), ends, is_exact=is_exact)
    for text, begin, end in zip(texts, first, rest, strict=True):
        full = decoder(text[None])[0]
        torch.testing.assert_close(torch.cat([begin, end]), full, atol=1e-4, rtol=1e-4)


def test_a_copied_beginning_is_the_beginning(decoder: Decoder) -> None:
    model = lean_of(decoder)
    cache = SlottedCache(CONFIG, max_rows=3, context_tokens=32)
    text = torch.arange(20)
    run(model, cache, [2], [0], [text])
    cache.copy(2, 0, 12)
    (rest,) = run(model, cache, [0], [12], [text[12:]])
    full = decoder(text[None])[0]
    torch.testing.assert_close(rest, full[12:], atol=1e-4, rtol=1e-4)


def test_a_cleared_row_is_all_zeros_and_others_stay(decoder: Decoder) -> None:
    cache = SlottedCache(CONFIG, max_rows=2, context_tokens=8)
    run(lean_of(decoder), cache, [0, 1], [0, 0], [torch.arange(8), torch.arange(8)])
    cache.clear(0)
    heads = CONFIG.num_key_value_heads
    for rows in (*cache.keys_L, *cache.values_L):
        assert not rows[:heads].any()
        assert rows[heads:, :8].any()


@pytest.mark.parametrize("num_spare", [0, 1])
def test_a_cache_over_its_budget_is_refused_with_what_would_fit(num_spare: int) -> None:
    def check(budget_bytes: int) -> None:
        check_budget(
            CONFIG,
            max_rows=100 - num_spare,
            num_spare=num_spare,
            context_tokens=256,
            budget_bytes=budget_bytes,
        )

    spared = SlottedCache(CONFIG, max_rows=1, context_tokens=256, num_spare=num_spare)
    one = spared.num_bytes // (1 + num_spare)
    assert one == row_bytes(CONFIG, 256)
    check(100 * one)
    with pytest.raises(InvalidValue, match=rf"serving\.cache_mb.*at most {99 - num_spare} rows"):
        check(100 * one - 1)


def test_a_server_whose_cache_does_not_fit_its_memory_ends_at_its_start(
    published: Published,
) -> None:
    published.publish(1)
    fit = 1_000_000 // row_bytes(CONFIG, 256)
    server = RunningServer(published.root, cache_mb=1, max_rows=fit + 1).start()
    wait_for(lambda: server.fault, "its end")
    said = rf"serving\.cache_mb.*serving\.max_rows {fit + 1} of 256 tokens.*at most {fit} rows"
    with pytest.raises(InvalidValue, match=said):
        server.stop()
    assert server.workspace.record("serving") is None
