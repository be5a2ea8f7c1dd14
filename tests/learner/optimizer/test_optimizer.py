"""Muon is Muon, AdamW is AdamW, each on its own parameters; their state goes by name."""

import math

import msgspec
import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from learner.optimizer import Optimizer, learning_parameters
from learner.optimizer.muon import Muon, orthogonal
from learner.optimizer.parameters import split
from learner.recipe import Recipe
from riverrun.errors import CheckpointError, InvalidValue
from tests.learner import fakes
from tests.learner.fakes import RECIPE

MUON = msgspec.structs.replace(RECIPE, optimizer="muon", muon_lr=0.02)
ADAMW = msgspec.structs.replace(RECIPE, optimizer="adamw")


def made(recipe: Recipe) -> Optimizer:
    return Optimizer(learning_parameters(fakes.model(), recipe), recipe)


def give_gradients(optimizer: Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in optimizer.parameters.values():
        p.grad = torch.randn(p.shape, generator=generator) * 0.01


def updated(optimizer: Optimizer, *seeds: int) -> Optimizer:
    for seed in seeds:
        give_gradients(optimizer, seed)
        optimizer.update(1.0)
    return optimizer


def bits(optimizer: Optimizer) -> dict[str, bytes]:
    found = {n: p.detach().numpy().tobytes() for n, p in optimizer.parameters.items()}
    return found | {n: t.numpy().tobytes() for n, t in optimizer.tensors().items()}


def test_orthogonal_keeps_directions_and_makes_them_count_the_same() -> None:
    matrices_GRC = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(1))
    made_GRC = orthogonal(matrices_GRC)
    u, _, vt = torch.linalg.svd(matrices_GRC, full_matrices=False)
    turned = u.mT @ made_GRC @ vt.mT
    sizes = turned.diagonal(dim1=1, dim2=2)
    assert 0.6 < float(sizes.min()) <= float(sizes.max()) < 1.25
    assert float((turned - torch.diag_embed(sizes)).abs().max()) < 1e-4


def test_one_step_is_what_the_formula_says() -> None:
    """Nesterov momentum, orthogonal, scaled by sqrt(rows / columns) where it stands upright."""
    generator = torch.Generator().manual_seed(2)
    tall, wide = (Parameter(torch.randn(*s, generator=generator)) for s in ((24, 8), (8, 24)))
    before = [tall.detach().clone(), wide.detach().clone()]
    muon = Muon([tall, wide], momentum=0.9, weight_decay=0.1, products=torch.float32)
    momenta = [torch.zeros(24, 8), torch.zeros(8, 24)]
    for _ in range(3):
        for i, p in enumerate((tall, wide)):
            p.grad = torch.randn(p.shape, generator=generator)
            momenta[i] = 0.9 * momenta[i] + p.grad
            ahead = p.grad + 0.9 * momenta[i]
            update = orthogonal(ahead.T[None])[0].T if i == 0 else orthogonal(ahead[None])[0]
            scale = math.sqrt(3.0) if i == 0 else 1.0
            before[i] = before[i] * (1 - 0.5 * 0.1) - 0.5 * scale * update
        muon.step(0.5)
    for p, expected in zip((tall, wide), before, strict=True):
        torch.testing.assert_close(p.detach(), expected, rtol=1e-4, atol=1e-5)


def test_it_agrees_with_torchs_own() -> None:
    def matrices() -> list[Parameter]:
        generator = torch.Generator().manual_seed(3)
        shapes = ((32, 32), (16, 32), (32, 16), (32, 32))
        return [Parameter(torch.randn(*shape, generator=generator)) for shape in shapes]

    own, theirs = matrices(), matrices()
    muon = Muon(own, momentum=0.95, weight_decay=0.01, products=torch.bfloat16)
    reference = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.01)
    generator = torch.Generator().manual_seed(4)
    for _ in range(4):
        for p, q in zip(own, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        muon.step(0.02)
        reference.step()
    for p, q in zip(own, theirs, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=0, atol=2e-3)


def test_muon_takes_the_hidden_matrices_and_adamw_the_rest() -> None:
    optimizer = updated(made(MUON), 1)
    kinds: dict[str, set[str]] = {"momentum": set(), "exp_avg": set()}
    for key in optimizer.tensors():
        name, _, kind = key.rpartition(".")
        if kind in kinds:
            kinds[kind].add(name)
    hidden, others = split(optimizer.parameters)
    assert kinds == {"momentum": set(hidden), "exp_avg": set(others)}
    assert "model.embed_tokens.weight" in others
    assert "model.layers.0.self_attn.q_proj.weight" in hidden
    assert "model.layers.0.input_layernorm.weight" in others
    plain = updated(made(ADAMW), 1)
    for name, p in optimizer.parameters.items():
        assert torch.equal(p, plain.parameters[name]) == (name in others), name


@pytest.mark.parametrize("recipe", [ADAMW, MUON], ids=["adamw", "muon"])
def test_a_restored_optimizer_goes_on_as_the_one_that_was_not_stopped(recipe: Recipe) -> None:
    whole, other = updated(made(recipe), 1, 2, 3), made(recipe)
    with torch.no_grad():
        for name, p in other.parameters.items():
            p.copy_(whole.parameters[name])
    other.restore({n: t.clone() for n, t in whole.tensors().items()}, 3)
    assert bits(updated(other, 4, 5)) == bits(updated(whole, 4, 5))


@pytest.mark.parametrize("recipe", [ADAMW, MUON], ids=["adamw", "muon"])
def test_after_its_moments_were_forgotten_it_is_restored_too(recipe: Recipe) -> None:
    """AdamW's own count of updates is then another than the run's."""
    whole, other = updated(made(recipe), 1, 2, 3), made(recipe)
    whole.forget_moments()
    updated(whole, 4)
    with torch.no_grad():
        for name, p in other.parameters.items():
            p.copy_(whole.parameters[name])
    other.restore({n: t.clone() for n, t in whole.tensors().items()}, 4)
    assert bits(updated(other, 5)) == bits(updated(whole, 5))


def test_the_state_of_another_optimizer_is_refused_and_nothing_changes() -> None:
    optimizer = updated(made(MUON), 1)
    before = bits(optimizer)
    with pytest.raises(CheckpointError, match=r"exp_avg.* is no state of this run's optimizer"):
        optimizer.restore(updated(made(ADAMW), 1).tensors(), 1)
    assert bits(optimizer) == before


def test_a_restored_state_is_the_optimizers_own() -> None:
    """Not a view of what it was given, which a checkpoint may still be writing."""
    tensors: dict[str, Tensor] = updated(made(MUON), 1).tensors()
    kept = {n: t.clone() for n, t in tensors.items()}
    optimizer = made(MUON)
    optimizer.restore(tensors, 1)
    updated(optimizer, 2)
    assert all(torch.equal(t, kept[n]) for n, t in tensors.items())


def test_an_unknown_optimizer_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(InvalidValue, match=r"learner.optimizer: 'sgd' .* adamw, muon"):
        made(msgspec.structs.replace(RECIPE, optimizer="sgd"))


@pytest.mark.parametrize("most", [1e-3, 0.5, 1e3])
def test_gradients_are_clipped_bit_for_bit_as_torch_clips_them(most: float) -> None:
    optimizer = made(msgspec.structs.replace(RECIPE, grad_clip=most))
    parameters = list(optimizer.parameters.values())
    give_gradients(optimizer, 7)
    wanted_norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    wanted = [p.grad.clone() for p in parameters if p.grad is not None]
    give_gradients(optimizer, 7)
    assert optimizer.gradient_norm() == wanted_norm
    own = [p.grad for p in parameters if p.grad is not None]
    assert all(torch.equal(one, other) for one, other in zip(own, wanted, strict=True))
