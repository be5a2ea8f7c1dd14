"""The decoder's laws; transformers is the oracle."""

import copy

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from riverrun.errors import InvalidValue
from riverrun.model.cache import ContiguousCache
from riverrun.model.config import ModelConfig
from riverrun.model.decoder import Decoder

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


def tokens(config: ModelConfig, num_rows: int, num_tokens: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, config.vocab_size, (num_rows, num_tokens), generator=generator)


@torch.no_grad()
def in_chunks(model: Decoder, tokens_BT: Tensor, sizes: list[int]) -> Tensor:
    num_rows, num_tokens = tokens_BT.shape
    assert sum(sizes) == num_tokens
    cache = ContiguousCache(model.config, num_rows, num_tokens)
    logits = [
        model(chunk, positions_BT=cache.positions_BT(chunk.shape[1]), cache=cache)
        for chunk in tokens_BT.split(sizes, dim=1)
    ]
    return torch.cat(logits, dim=1)


@torch.no_grad()
def test_logits_equal_those_of_transformers(
    oracle: transformers.PreTrainedModel, ours: Decoder
) -> None:
    tokens_BT = tokens(ours.config, 3, 70)
    torch.testing.assert_close(ours(tokens_BT), oracle(tokens_BT).logits, **TOLERANCE)


def test_gradients_equal_those_of_transformers(
    oracle: transformers.PreTrainedModel, ours: Decoder
) -> None:
    tokens_BT = tokens(ours.config, 2, 20)
    for logits_BTV in (ours(tokens_BT), oracle(tokens_BT).logits):
        loss = F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), tokens_BT[:, 1:].flatten())
        loss.backward()
    expected = dict(oracle.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, atol=1e-5, rtol=1e-3)


def test_parameters_carry_the_names_of_transformers(
    oracle: transformers.PreTrainedModel, ours: Decoder
) -> None:
    shapes = {name: parameter.shape for name, parameter in oracle.named_parameters()}
    assert {name: parameter.shape for name, parameter in ours.named_parameters()} == shapes
    assert sum(p.numel() for p in ours.parameters()) == ours.config.num_parameters()


@pytest.mark.parametrize("sizes", [[24], [1] * 24, [20, 1, 1, 1, 1], [5, 7, 1, 11]], ids=str)
@torch.no_grad()
def test_cached_decoding_and_chunked_prefill_equal_the_full_forward(
    ours: Decoder, sizes: list[int]
) -> None:
    tokens_BT = tokens(ours.config, 2, 24)
    torch.testing.assert_close(in_chunks(ours, tokens_BT, sizes), ours(tokens_BT), **TOLERANCE)


@torch.no_grad()
def test_left_padding_changes_no_logit(ours: Decoder) -> None:
    lengths, longest = [5, 12, 1], 12
    rows = tokens(ours.config, 3, longest)
    padding_B = torch.tensor([longest - length for length in lengths])
    cache = ContiguousCache(ours.config, 3, longest + 1, padding_B=padding_B)
    first = ours(rows, positions_BT=cache.positions_BT(longest), cache=cache)
    next_B1 = torch.full((3, 1), 11)
    second = ours(next_B1, positions_BT=cache.positions_BT(1), cache=cache)
    for row, length in enumerate(lengths):
        alone = torch.cat([rows[row : row + 1, longest - length :], next_B1[:1]], dim=1)
        expected = ours(alone)[0]
        torch.testing.assert_close(first[row, longest - length :], expected[:-1], **TOLERANCE)
        torch.testing.assert_close(second[row, 0], expected[-1], **TOLERANCE)


@torch.no_grad()
def test_hidden_then_logits_is_the_forward(ours: Decoder) -> None:
    tokens_BT = tokens(ours.config, 2, 9)
    last_BV = ours.logits(ours.hidden(tokens_BT)[:, -1])
    torch.testing.assert_close(last_BV, ours(tokens_BT)[:, -1], **TOLERANCE)


@torch.no_grad()
def test_no_token_sees_a_later_one(ours: Decoder) -> None:
    tokens_BT = tokens(ours.config, 1, 16)
    changed_BT = tokens_BT.clone()
    changed_BT[:, 10:] = (changed_BT[:, 10:] + 1) % ours.config.vocab_size
    torch.testing.assert_close(ours(changed_BT)[:, :10], ours(tokens_BT)[:, :10], **TOLERANCE)


def test_a_cast_to_bf16_leaves_the_rotary_frequencies_alone(ours: Decoder) -> None:
    before = ours.rotary.frequencies.clone()
    cast = copy.deepcopy(ours).to(torch.bfloat16)
    assert cast.output_matrix.dtype == torch.bfloat16
    assert torch.equal(cast.rotary.frequencies, before)


def test_a_cache_without_positions_is_refused(ours: Decoder) -> None:
    with pytest.raises(InvalidValue, match="positions_BT: None is not allowed"):
        ours(tokens(ours.config, 1, 4), cache=ContiguousCache(ours.config, 1, 4))


def test_a_full_cache_refuses_another_token(ours: Decoder) -> None:
    cache = ContiguousCache(ours.config, 1, 4)
    in_full = tokens(ours.config, 1, 5)
    with pytest.raises(InvalidValue, match="at most the 4 columns left"), torch.no_grad():
        ours(in_full, positions_BT=cache.positions_BT(5), cache=cache)


@torch.no_grad()
def test_logits_of_smollm2_equal_those_of_transformers(smollm2: Decoder, smollm2_dir) -> None:
    oracle = transformers.AutoModelForCausalLM.from_pretrained(smollm2_dir, dtype=torch.float32)
    tokens_BT = tokens(smollm2.config, 2, 32)
    torch.testing.assert_close(smollm2(tokens_BT), oracle(tokens_BT).logits, **TOLERANCE)


@torch.no_grad()
def test_a_row_that_may_attend_to_nothing_spoils_no_other(ours: Decoder) -> None:
    class OneIdleRow(ContiguousCache):
        @property
        def mask_BTS(self) -> Tensor:
            return torch.tensor([True, False])[:, None, None].expand(2, 1, self.num_columns)

    cache = OneIdleRow(ours.config, 2, 1)
    tokens_BT = tokens(ours.config, 2, 1)
    logits = ours(tokens_BT, positions_BT=cache.positions_BT(1), cache=cache)
    torch.testing.assert_close(logits[0], ours(tokens_BT[:1])[0], **TOLERANCE)
    assert logits.isfinite().all()
