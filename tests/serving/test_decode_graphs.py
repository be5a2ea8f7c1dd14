"""A pass of fixed shapes is the ordinary decode pass, whichever rows have a token, and whatever the
slot's next version is. The recording itself needs CUDA, and is skipped without it.
"""

import pytest
import torch

from riverrun.model.config import ModelConfig
from riverrun.model.decoder import Decoder
from serving.cache import SlottedCache
from serving.decode_graphs import DecodeGraphs, FixedPass, form_of
from serving.lean_model import LeanModel
from tests.serving.lean import lean_of
from tests.serving.published import CONFIG
from tests.serving.test_lean_model import BIASED, QWEN2, QWEN3, random_decoder

STARTS = {0: 9, 2: 3, 3: 15}
"""Of the rows that have a token, the cells that are filled."""
TEXT = torch.randint(0, 256, (4, 16), generator=torch.Generator().manual_seed(2))


def filled(model: LeanModel, device: str = "cpu") -> SlottedCache:
    """Row 1 holds a text too, which nobody asks to go on."""
    cache = SlottedCache(model.config, max_rows=4, context_tokens=100, device=device, num_spare=1)
    rows, counts = [0, 1, 2, 3], [9, 12, 3, 15]
    window = cache.window(rows, [0, 0, 0, 0], counts)
    pieces = [TEXT[row, :count] for row, count in zip(rows, counts, strict=True)]
    with torch.inference_mode():
        model.hidden(torch.cat(pieces).to(device), window)
    return cache


def expected(model: LeanModel, cache: SlottedCache) -> torch.Tensor:
    rows, starts = list(STARTS), list(STARTS.values())
    tokens = torch.tensor([int(TEXT[row, start]) for row, start in STARTS.items()])
    with torch.inference_mode():
        window = cache.window(rows, starts, [1, 1, 1])
        return model.logits(model.hidden(tokens.to(cache.device), window))


def asked() -> tuple[list[int], list[int], list[int]]:
    return list(STARTS), [int(TEXT[r, s]) for r, s in STARTS.items()], list(STARTS.values())


@pytest.mark.parametrize("config", [CONFIG, QWEN2, QWEN3, BIASED])
def test_a_fixed_pass_is_the_ordinary_one_and_leaves_other_rows_alone(config: ModelConfig) -> None:
    model = lean_of(random_decoder(config))
    cache = filled(model)
    heads = config.num_key_value_heads
    second = slice(heads, 2 * heads)
    other = [rows[second].clone() for rows in (*cache.keys_L, *cache.values_L)]
    fixed = FixedPass(model, cache, *form_of(cache, list(STARTS), list(STARTS.values())))
    fixed.fill(*asked())
    with torch.inference_mode():
        fixed.run()
    torch.testing.assert_close(
        fixed.logits_RV[list(STARTS)], expected(model, filled(model)), atol=1e-4, rtol=1e-4
    )
    for rows, before in zip((*cache.keys_L, *cache.values_L), other, strict=True):
        torch.testing.assert_close(rows[second], before, rtol=0, atol=0)


@torch.inference_mode()
def test_a_pass_holds_for_the_next_version_of_its_slot() -> None:
    """A recording keeps addresses: a load has to write over every tensor, and replace none."""
    for config in (CONFIG, QWEN2, QWEN3, BIASED):
        model = lean_of(random_decoder(config))
        before = addresses(model)
        for number, layer in enumerate(model.layers):
            state = Decoder(config).state_dict()
            prefix = f"model.layers.{number}."
            layer.load(
                {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
            )
        assert addresses(model) == before


def addresses(model: LeanModel) -> list[int]:
    found = []
    for layer in model.layers:
        tensors = [layer.query_norm_E, layer.key_norm_E]
        for product in (layer.qkv, layer.out, layer.gate_up, layer.down):
            tensors += [getattr(product, "weight_OI"), getattr(product, "bias_O")]  # noqa: B009
        found += [tensor.data_ptr() for tensor in tensors if tensor is not None]
    return found


def test_forms_are_few_and_have_room() -> None:
    cache = SlottedCache(CONFIG, max_rows=6, context_tokens=200)
    forms = {form_of(cache, [row], [start]) for row in range(6) for start in range(200)}
    assert forms == {(rows, columns) for rows in (1, 2, 4, 6) for columns in (64, 128, 208)}
    for row in range(6):
        for start in range(200):
            num_rows, num_columns = form_of(cache, [row], [start])
            assert row < num_rows <= 6
            assert start < num_columns


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records with CUDA")
def test_a_recorded_pass_is_the_ordinary_one() -> None:
    model = lean_of(random_decoder(CONFIG), device="cuda")
    cache = filled(model, "cuda")
    graphs = DecodeGraphs(cache)
    for _ in range(2):
        found = graphs.logits(model, *asked())
        torch.testing.assert_close(found, expected(model, cache), atol=1e-3, rtol=1e-3)
