"""Plain products give what torch's kernel gives, forward and backward, and stand in where told."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from riverrun.model import attention
from riverrun.model.attention import attend, plain

NEVER = float("-inf")


def parts(kind: torch.dtype, num_heads: int = 6, num_groups: int = 2) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    shapes = [(3, heads, 40, 16) for heads in (num_heads, num_groups, num_groups)]
    return [torch.randn(s, generator=random).to(kind).requires_grad_() for s in shapes]


def gradients(attended: Tensor, of: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(attended.float().square().sum(), of)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("is_masked", [False, True])
def test_products_are_torchs_attention_forward_and_backward(
    kind: torch.dtype, is_masked: bool
) -> None:
    own = parts(kind)
    theirs = [part.detach().float().requires_grad_() for part in own]
    bias = None
    if is_masked:
        random = torch.Generator().manual_seed(2)
        bias = torch.zeros(3, 1, 40, 40)
        bias.masked_fill_(torch.rand(bias.shape, generator=random) < 0.3, NEVER)[..., 0] = 0
    here = plain(*own, bias)
    there = F.scaled_dot_product_attention(
        *theirs, attn_mask=bias, is_causal=bias is None, enable_gqa=True
    )
    assert here.dtype == kind
    within = 1e-5 if kind == torch.float32 else 0.02
    torch.testing.assert_close(here.float(), there, rtol=within, atol=within)
    for mine, its in zip(gradients(here, own), gradients(there, theirs), strict=True):
        assert float((mine.float() - its).abs().max()) < within * float(its.abs().max())


@pytest.mark.parametrize("is_masked", [False, True])
def test_products_of_one_new_position_are_torchs_attention(is_masked: bool) -> None:
    query, key, value = (part.detach() for part in parts(torch.float32))
    bias = None
    if is_masked:
        bias = torch.zeros(3, 1, 1, 40)
        bias[1, :, :, :25] = NEVER
    there = F.scaled_dot_product_attention(
        query[:, :, -1:], key, value, attn_mask=bias, enable_gqa=True
    )
    torch.testing.assert_close(plain(query[:, :, -1:], key, value, bias), there)


def test_products_stand_in_only_in_bfloat16_for_a_backward_or_one_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[int, ...]] = []

    def noted(*told: Tensor | None) -> Tensor:
        assert told[0] is not None
        taken.append(tuple(told[0].shape))
        return plain(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(attention, "plain", noted)
    cases: list[tuple[Callable[[], list[Tensor]], bool]] = [
        (lambda: parts(torch.bfloat16), True),
        (lambda: parts(torch.float32), False),
        (lambda: [part.detach() for part in parts(torch.bfloat16)], False),
        (lambda: [parts(torch.bfloat16)[0][:, :, -1:], *parts(torch.bfloat16)[1:]], True),
        (lambda: [parts(torch.bfloat16)[0][:, :, -2:], *parts(torch.bfloat16)[1:]], False),
    ]
    for make, is_taken in cases:
        taken.clear()
        attend(*make(), None)
        assert bool(taken) == is_taken
    monkeypatch.setattr(attention, "MOST_SCORES", 39 * 40)
    taken.clear()
    attend(*parts(torch.bfloat16), None)
    assert not taken
