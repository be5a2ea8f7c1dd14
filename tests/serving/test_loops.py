"""The compiled loops are the model's own pass; a token is the same bits whatever is beside it."""

import logging
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
import torch

from riverrun.model.config import ModelConfig
from serving.cache import SlottedCache
from serving.lean_model import LeanModel
from serving.loops import ready
from serving.products import Precision
from serving.sampling import likeliest
from tests.serving.lean import lean_of
from tests.serving.published import CONFIG
from tests.serving.test_lean_model import BIASED, HAS_INT8, QWEN2, QWEN3, needs_int8, random_decoder

if TYPE_CHECKING:
    from serving.loops.passes import LoopPasses

LANES = msgspec.structs.replace(CONFIG, num_heads=6, num_key_value_heads=2, head_dim=32)
"""Heads that fill lanes, an odd number of them to a key; those of the other models do not all."""
TEXT = torch.randint(0, 256, (90,), generator=torch.Generator().manual_seed(1)).tolist()
ERRORS: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 1e-2, "int8": 1e-3}
PRECISIONS = [name for name in ERRORS if name != "int8" or HAS_INT8]


@pytest.fixture(autouse=True)
def _any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "MOST_THREADS", 1000)


def new_cache(config: ModelConfig) -> SlottedCache:
    return SlottedCache(config, max_rows=4, context_tokens=96)


def new_loops(config: ModelConfig) -> "LoopPasses":
    loops = ready.loop_passes(new_cache(config))
    assert loops is not None, "the log says why"
    return loops


@torch.inference_mode()
def hidden(model: LeanModel, tokens: list[int], chunk: int, row: int = 0) -> torch.Tensor:
    loops = new_loops(model.config)
    pieces = [(start, tokens[start : start + chunk]) for start in range(0, len(tokens), chunk)]
    return torch.cat(
        [
            loops.hidden(model, piece, [row], [start], [len(piece)]).clone()
            for start, piece in pieces
        ]
    )


@pytest.mark.parametrize("config", [CONFIG, QWEN2, QWEN3, BIASED, LANES])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("chunk", [1, 7, 90])
def test_loops_are_the_models_own_pass(
    config: ModelConfig, precision: Precision, chunk: int
) -> None:
    model = lean_of(random_decoder(config), precision)
    with torch.inference_mode():
        window = new_cache(config).window([1], [0], [len(TEXT)])
        right = model.hidden(torch.tensor(TEXT), window)
    error = (hidden(model, TEXT, chunk, row=1) - right).norm() / right.norm()
    assert float(error) < ERRORS[precision]


@needs_int8
@pytest.mark.parametrize("chunk", [1, 3, 16, 89])
def test_int8_is_the_same_bits_however_the_prompt_is_cut(chunk: int) -> None:
    model = lean_of(random_decoder(CONFIG), "int8")
    assert torch.equal(hidden(model, TEXT, chunk), hidden(model, TEXT, len(TEXT)))


@needs_int8
@torch.inference_mode()
def test_an_int8_token_is_the_same_bits_whoever_its_neighbours_are() -> None:
    model = lean_of(random_decoder(QWEN3), "int8")
    together, alone = new_loops(QWEN3), new_loops(QWEN3)
    together.hidden(model, TEXT[:60], [0, 2, 3], [0, 0, 0], [10, 20, 30])
    found = together.hidden(model, [5, 6, 7], [0, 2, 3], [10, 20, 30], [1, 1, 1]).clone()
    alone.hidden(model, TEXT[10:30], [1], [0], [20])
    assert torch.equal(alone.hidden(model, [6], [1], [20], [1])[0], found[1])


@pytest.mark.parametrize("config", [CONFIG, LANES])
@pytest.mark.parametrize("precision", PRECISIONS)
@torch.inference_mode()
def test_a_row_that_is_not_finite_stays_so_and_harms_nobody(
    config: ModelConfig, precision: Precision
) -> None:
    model = lean_of(random_decoder(config), precision)
    given = ([5, 6, 7], [0, 1, 2], [0, 0, 0], [1, 1, 1])
    right = new_loops(config).hidden(model, *given).clone()
    for bad in (float("nan"), float("inf"), float("-inf")):
        model.embedding_VD[6, 10] = bad
        found = new_loops(config).hidden(model, *given)
        assert not found[1].isfinite().any()
        assert torch.equal(found[[0, 2]], right[[0, 2]])


@pytest.mark.parametrize("precision", PRECISIONS)
@torch.inference_mode()
def test_passes_hold_for_the_next_version_of_a_slot(precision: Precision) -> None:
    model, loops = lean_of(random_decoder(BIASED), precision), new_loops(BIASED)
    loops.hidden(model, TEXT, [0], [0], [len(TEXT)])
    decoder = random_decoder(BIASED)
    for parameter in decoder.parameters():
        parameter.mul_(0.7)
    other = lean_of(decoder, precision)
    state = decoder.state_dict()
    for number in range(BIASED.num_layers):
        prefix = f"model.layers.{number}."
        model.load_layer(
            number, {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        )
    model.load_ends(state["model.embed_tokens.weight"], state["model.norm.weight"], None)
    found = loops.hidden(model, TEXT, [0], [0], [len(TEXT)])
    assert torch.equal(found, hidden(other, TEXT, len(TEXT)))


def test_the_likeliest_tokens_are_torchs() -> None:
    logits_BV = torch.randn(9, 300, generator=torch.Generator().manual_seed(4))
    logits_BV[1, 7] = float("nan")
    logits_BV[2, 7] = -float("nan")
    logits_BV[3, 7] = float("inf")
    logits_BV[4] = -logits_BV[4].abs() - 1
    logits_BV[5, [20, 30]] = 50.0
    tokens, finite = new_loops(CONFIG).likeliest(logits_BV)
    right_tokens, right_finite = likeliest(logits_BV)
    assert finite == right_finite == [True, False, False, False, True, True, True, True, True]
    for found, right, is_finite in zip(tokens, right_tokens, finite, strict=True):
        assert found == right or not is_finite


def test_without_numba_torch_serves_alone_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "numba.core.errors", None)
    ready._obstacle.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert ready.loop_passes(new_cache(CONFIG)) is None
            assert ready.loop_passes(new_cache(CONFIG)) is None
    finally:
        ready._obstacle.cache_clear()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "decoding runs without compiled loops, and slower"
    ]


def test_many_threads_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: ready.MOST_THREADS + 1)
    assert ready.loop_passes(new_cache(CONFIG)) is None
