"""Served arithmetic equals the training model's; a row is the same bits alone and in company."""

import msgspec
import pytest
import torch

from riverrun.model.config import ModelConfig
from riverrun.model.decoder import Decoder
from riverrun.model.files import load
from riverrun.model.zoo import located
from riverrun.tokenizer import Tokenizer
from serving.cache import SlottedCache
from serving.lean_model import LeanModel
from serving.precision import is_int8_usable
from serving.products import Int8Product, Precision, RowCutter
from tests.serving.lean import lean_of
from tests.serving.published import CONFIG

CPU = torch.device("cpu")
HAS_INT8 = is_int8_usable(CPU)
needs_int8 = pytest.mark.skipif(not HAS_INT8, reason="no exact int8 products here")
QWEN2 = msgspec.structs.replace(
    CONFIG, model_type="qwen2", attention_bias=True, tie_embeddings=False
)
QWEN3 = msgspec.structs.replace(CONFIG, model_type="qwen3", qk_norm=True, head_dim=16)
BIASED = msgspec.structs.replace(CONFIG, attention_bias=True, output_bias=True)


def random_decoder(config: ModelConfig) -> Decoder:
    generator = torch.Generator().manual_seed(3)
    decoder = Decoder(config).requires_grad_(False)
    decoder.initialise(generator, std=0.2)
    for parameter in decoder.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return decoder


@torch.inference_mode()
def full_logits(model: LeanModel, tokens: list[int], chunk: int = 1000) -> torch.Tensor:
    cache = SlottedCache(model.config, max_rows=1, context_tokens=len(tokens))
    hidden = []
    for start in range(0, len(tokens), chunk):
        piece = tokens[start : start + chunk]
        hidden.append(model.hidden(torch.tensor(piece), cache.window([0], [start], [len(piece)])))
    return model.logits(torch.cat(hidden))


@pytest.mark.parametrize("config", [CONFIG, QWEN2, QWEN3, BIASED])
@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_fp32_equals_the_training_models_full_forward(config: ModelConfig, chunk: int) -> None:
    decoder = random_decoder(config)
    tokens = torch.randint(0, 256, (40,), generator=torch.Generator().manual_seed(1))
    served = full_logits(lean_of(decoder), tokens.tolist(), chunk)
    torch.testing.assert_close(served, decoder(tokens[None])[0], atol=1e-4, rtol=1e-4)


@needs_int8
@pytest.mark.parametrize("config", [CONFIG, QWEN2, QWEN3, BIASED])
def test_int8_is_near_the_training_models_full_forward(config: ModelConfig) -> None:
    decoder = random_decoder(config)
    tokens = torch.randint(0, 256, (40,), generator=torch.Generator().manual_seed(1))
    right = decoder(tokens[None])[0]
    error = (full_logits(lean_of(decoder, "int8"), tokens.tolist()) - right).norm() / right.norm()
    assert float(error) < 0.03


@needs_int8
@pytest.mark.parametrize("chunk", [1, 3, 16, 39])
def test_int8_is_the_same_bits_however_the_prompt_is_cut(chunk: int) -> None:
    model = lean_of(random_decoder(CONFIG), "int8")
    tokens = torch.randint(0, 256, (90,), generator=torch.Generator().manual_seed(1)).tolist()
    assert torch.equal(full_logits(model, tokens, chunk), full_logits(model, tokens))


@needs_int8
def test_an_int8_row_is_the_same_bits_whoever_its_neighbours_are() -> None:
    generator = torch.Generator().manual_seed(2)
    product = Int8Product(96, RowCutter(576))
    product.load(torch.randn(96, 576, generator=generator))
    x_NI = torch.randn(40, 576, generator=generator)
    x_NI[3] *= 1e6
    x_NI[7, 5] = 1e5
    x_NI[9] = 0.0
    together = product.of(x_NI)
    for rows in (slice(0, 1), slice(3, 4), slice(2, 9), slice(7, 40), slice(9, 10)):
        assert torch.equal(product.of(x_NI[rows].clone()), together[rows])
    assert not together[9].any()


@needs_int8
def test_an_int8_row_that_is_not_finite_stays_so_and_harms_nobody() -> None:
    generator = torch.Generator().manual_seed(2)
    product = Int8Product(64, RowCutter(64))
    product.load(torch.randn(64, 64, generator=generator))
    x_NI = torch.randn(5, 64, generator=generator)
    right = product.of(x_NI)
    for bad in (float("nan"), float("inf"), float("-inf")):
        spoiled = x_NI.clone()
        spoiled[2, 10] = bad
        found = product.of(spoiled)
        assert not found[2].isfinite().any()
        assert torch.equal(found[[0, 1, 3, 4]], right[[0, 1, 3, 4]])


@needs_int8
def test_int8_costs_smollm2_less_than_one_percent_of_perplexity() -> None:
    directory = located("smollm2")
    if directory is None:
        pytest.skip("smollm2 is not on this machine")
    decoder = load(directory).requires_grad_(False)
    text = (
        "The harbour town woke slowly that morning. Fishing boats came home with the tide, and "
        "gulls followed them along the stone pier. An old woman sold bread from a cart near the "
        "church, and children ran past her on their way to school. By noon the sun had burned away "
        "the mist, and the hills behind the town showed green and gold. A river is a stream of "
        "water that flows towards an ocean, a lake or another river. Rivers carry sand and stones "
        "from the mountains to the sea, and cut deep valleys on their way. People lived beside "
        "them for thousands of years, because they give water to drink, fish to eat and a road to "
        "the next town. In the evening the fishermen mended their nets and told stories of storms "
        "that they had lived through when they were young."
    )
    tokens = Tokenizer(directory).encode(text)
    targets = torch.tensor(tokens[1:])

    def loss(precision: Precision) -> float:
        logits = full_logits(lean_of(decoder, precision), tokens, 128)[:-1]
        return float(torch.nn.functional.cross_entropy(logits, targets))

    assert loss("int8") - loss("float32") < 0.01
