"""Copies have the model's weights, and what they find out comes together at the model."""

from collections.abc import Sequence

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from learner.watch.surprise import wearing
from learner.working_copies import WorkingCopies
from riverrun.model.decoder import Decoder
from tests.learner import fakes

TOKENS = torch.arange(24).view(2, 12) % 7


def model(*, tied: bool = True) -> Decoder:
    made = Decoder(replace(fakes.SMALL, tie_embeddings=tied))
    made.initialise(torch.Generator().manual_seed(1))
    return made


def backward(decoder: Decoder, rows: slice, *, is_mixed: bool) -> float:
    with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
        logits_BTV = decoder(TOKENS[rows])
    loss = logits_BTV.float().log_softmax(-1)[:, :-1].gather(2, TOKENS[rows][:, 1:, None]).sum()
    loss.backward()
    return float(loss.detach())


def gradients(of: Decoder) -> dict[str, Tensor]:
    found = {name: p.grad for name, p in of.named_parameters()}
    return {name: grad.clone() for name, grad in found.items() if grad is not None}


def by_copies(
    model: Decoder, num: int, rows: Sequence[slice], *, is_mixed: bool
) -> tuple[WorkingCopies, float]:
    copies = WorkingCopies(model, num, is_mixed=is_mixed)
    copies.follow()
    loss = sum(
        backward(one, its, is_mixed=is_mixed)
        for one, its in zip(copies.decoders, rows, strict=True)
    )
    copies.hand_over()
    return copies, loss


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("trains_embeddings", [True, False])
def test_a_copy_in_bfloat16_finds_what_autocast_finds(tied: bool, trains_embeddings: bool) -> None:
    wanted, own = model(tied=tied), model(tied=tied)
    for one in (wanted, own):
        one.model.embed_tokens.weight.requires_grad_(trains_embeddings)
    loss = backward(wanted, slice(0, 2), is_mixed=True)
    _, found = by_copies(own, 1, [slice(0, 2)], is_mixed=True)
    assert found == loss
    theirs, ours = gradients(wanted), gradients(own)
    assert theirs.keys() == ours.keys()
    for name, gradient in theirs.items():
        assert ours[name].dtype == torch.float32
        # The tied matrix's two parts are added up in another order.
        torch.testing.assert_close(ours[name], gradient, rtol=1e-5, atol=1e-6)


def test_without_bfloat16_one_copy_is_the_model_itself() -> None:
    own = model()
    assert WorkingCopies(own, 1, is_mixed=False).decoders == [own]


@pytest.mark.parametrize("is_mixed", [False, True])
def test_two_copies_find_together_what_one_finds(is_mixed: bool) -> None:
    one, two = model(), model()
    _, wanted = by_copies(one, 1, [slice(0, 2)], is_mixed=is_mixed)
    _, found = by_copies(two, 2, [slice(0, 1), slice(1, 2)], is_mixed=is_mixed)
    assert found == pytest.approx(wanted, rel=1e-4)
    ours = gradients(two)
    for name, gradient in gradients(one).items():
        error = (ours[name] - gradient).norm() / gradient.norm()
        assert error < (0.02 if is_mixed else 1e-5), name


@pytest.mark.parametrize("is_mixed", [False, True])
def test_what_is_handed_over_adds_up_and_is_not_handed_over_twice(is_mixed: bool) -> None:
    own = model()
    copies, _ = by_copies(own, 2, [slice(0, 1), slice(1, 2)], is_mixed=is_mixed)
    once = gradients(own)
    copies.hand_over()
    assert all(torch.equal(gradients(own)[name], gradient) for name, gradient in once.items())
    for decoder, its in zip(copies.decoders, (slice(0, 1), slice(1, 2)), strict=True):
        backward(decoder, its, is_mixed=is_mixed)
    copies.hand_over()
    for name, gradient in gradients(own).items():
        torch.testing.assert_close(gradient, 2 * once[name])


@pytest.mark.parametrize("is_mixed", [False, True])
def test_copies_follow_whatever_becomes_of_the_weights(is_mixed: bool) -> None:
    own = model()
    copies = WorkingCopies(own, 2, is_mixed=is_mixed)

    def said() -> list[Tensor]:
        copies.follow()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            return [own(TOKENS), *(decoder(TOKENS) for decoder in copies.decoders)]

    before = said()
    with torch.no_grad():
        for p in own.parameters():
            p.mul_(1.5)
    for p in own.parameters():
        p.data = p.data * 0.5
    after = said()
    assert not torch.allclose(before[0], after[0])
    assert all(torch.equal(one, after[0]) for one in after)
    other = {name: p.detach() * 2 for name, p in own.named_parameters()}
    with wearing(own, other):
        worn = said()
    assert not torch.allclose(worn[0], after[0])
    assert all(torch.equal(one, worn[0]) for one in worn)
    assert all(torch.equal(one, after[0]) for one in said())
