"""Numbers of health are what they claim to be, and findings come once, when a bound is crossed."""

import math
from collections.abc import Callable

import pytest
import torch

from learner.framing import Framing
from learner.state import State
from learner.watch.activations import activity, dead_share, effective_rank
from learner.watch.gradients import gradient_norms, layer_of, samples, update_ratios
from learner.watch.health import SETTLED, Health
from learner.watch.probe import curvature, look_into_layers
from learner.watch.protocol import Finding
from learner.watch.surprise import Surprise
from learner.watch.watchers import Watchers
from riverrun.settings import WatchSettings
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes

Step = Callable[[int], list[Finding]]


def watched(tokenizer: Tokenizer, **settings: float) -> tuple[State, Health, Step]:
    state = fakes.state()
    framing = Framing(tokenizer, fakes.RECIPE.framings, fakes.RECIPE.block_tokens)
    chosen = WatchSettings.model_validate({"health_interval": 1, "probe_share": 1.0} | settings)
    watchers = Watchers(state, framing, fakes.RECIPE, chosen)
    stepper = fakes.stepper(tokenizer, watches=[watchers])

    def step(number: int) -> list[Finding]:
        report = stepper.step(state, [fakes.arrival(number)])
        assert report is not None
        return report.findings

    return state, watchers.health, step


def test_norms_and_ratios_are_those_of_the_tensors(tokenizer: Tokenizer) -> None:
    state, health, step = watched(tokenizer)
    step(0)
    before = {n: p.detach().clone() for n, p in state.optimizer.parameters.items()}
    step(1)
    squares: dict[str, list[float]] = {}
    for name, parameter in state.optimizer.parameters.items():
        change, size = squares.setdefault(layer_of(name), [0.0, 0.0])
        change += float((parameter.detach() - before[name]).square().sum())
        size += float(before[name].square().sum())
        squares[layer_of(name)] = [change, size]
    assert set(squares) == {"embed_tokens", "layers.0", "layers.1", "norm"}
    ratios = health.readings()["update_ratio"]
    for layer, (change, size) in squares.items():
        assert ratios[layer] == pytest.approx(math.sqrt(change / size), rel=0.15)


def test_the_layers_make_up_the_global_norm() -> None:
    model = fakes.model()
    model(torch.tensor([[1, 2, 3]])).square().mean().backward()
    parameters = dict(model.named_parameters())
    whole = torch.nn.utils.get_total_norm([p.grad for p in parameters.values()])
    norms = gradient_norms(parameters)
    assert math.hypot(*norms.values()) == pytest.approx(float(whole), rel=1e-5)
    assert gradient_norms(dict(fakes.model().named_parameters())) == {}


def test_a_sampled_update_of_a_large_matrix_is_that_of_the_whole() -> None:
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(400, 300))
    named = {"model.layers.0.x": parameter}
    before = samples(named)
    assert before["model.layers.0.x"].numel() < 10_000
    with torch.no_grad():
        parameter.add_(0.01 * torch.randn(400, 300))
    assert update_ratios(before, named)["layers.0"] == pytest.approx(0.01, rel=0.05)


def test_a_spike_is_found_once_and_again_only_after_calm(tokenizer: Tokenizer) -> None:
    health = watched(tokenizer)[1]
    norms = [1.0] * SETTLED + [50.0, 60.0, 1.0, 9.0, 1.0, 70.0]
    said = [[finding.kind for finding in health._norm(norm)] for norm in norms]
    assert said[:SETTLED] == [[]] * SETTLED
    assert said[SETTLED:] == [["exploding"], [], [], [], [], ["exploding"]]


def test_a_rate_that_is_far_too_high_is_found_in_the_update(tokenizer: Tokenizer) -> None:
    step = watched(tokenizer, update_ratio_most=1e-4)[2]
    kinds = {(f.kind, f.subject) for i in range(3) for f in step(i)}
    assert ("exploding", "layers.0") in kinds


def test_a_layer_whose_gradient_vanishes_is_named(tokenizer: Tokenizer) -> None:
    state, _, step = watched(tokenizer)
    with torch.no_grad():
        for name in ("self_attn.o_proj", "mlp.down_proj", "mlp.gate_proj", "mlp.up_proj"):
            state.model.get_parameter(f"model.layers.1.{name}.weight").mul_(1e-6)
        for name in ("q_proj", "k_proj", "v_proj"):
            state.model.get_parameter(f"model.layers.1.self_attn.{name}.weight").mul_(1e-6)
    state.pace.tempo.factor = 1e-9
    found = [f for i in range(5) for f in step(i) if f.kind == "vanishing"]
    assert [f.subject for f in found] == ["layers.1"]
    assert found[0].numbers["gradient_rms"] < found[0].numbers["bound"]


def test_dead_units_are_counted_and_found(tokenizer: Tokenizer) -> None:
    state, health, step = watched(tokenizer)
    with torch.no_grad():
        state.model.get_parameter("model.layers.0.mlp.up_proj.weight")[:48] = 0.0
    state.pace.tempo.factor = 1e-9
    found = [f for i in range(60) for f in step(i) if f.kind == "dead_units"]
    assert [f.subject for f in found] == ["layers.0"]
    assert health.readings()["dead_units"] == {"layers.0": 0.75, "layers.1": 0.0}


def test_layers_that_say_the_same_of_every_token_are_found_once(tokenizer: Tokenizer) -> None:
    # Of 32 directions one is 3%.
    state, health, step = watched(tokenizer, rank_least=0.05)
    embedding = state.model.get_parameter("model.embed_tokens.weight")
    with torch.no_grad():
        embedding.copy_(torch.outer(torch.randn(len(embedding)), torch.randn(embedding.shape[1])))
    state.pace.tempo.factor = 1e-9
    found = [f for i in range(30) for f in step(i) if f.kind == "rank_collapse"]
    assert sorted(f.subject for f in found) == ["layers.0", "layers.1"]
    for one in found:
        assert one.numbers["effective_rank"] < one.numbers["bound"]
    assert health.readings()["effective_rank"].keys() == {"layers.0", "layers.1"}


def test_effective_rank_is_the_number_of_directions_in_use() -> None:
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(64, 64))[0]
    for num in (1, 8, 32):
        hidden_ND = torch.randn(4000, num) @ basis[:num]
        assert effective_rank(hidden_ND) * 64 == pytest.approx(num, rel=0.03)
    assert effective_rank(torch.ones(10, 64)) == 0.0
    few_ND = torch.randn(9, 64)
    assert 0.9 < effective_rank(few_ND) <= 1.0
    assert dead_share(torch.tensor([[0.0, 1.0, -2.0], [1e-5, 1.0, 0.0]])) == pytest.approx(1 / 3)


def test_probes_leave_weights_gradients_and_hooks_as_they_were(tokenizer: Tokenizer) -> None:
    state = fakes.state()
    before = fakes.bits(state)
    framing = Framing(tokenizer, fakes.RECIPE.framings, fakes.RECIPE.block_tokens)
    surprise = Surprise(framing, fakes.RECIPE)
    ends = curvature(state, surprise, ["the river runs to the sea"])
    assert ends is not None
    assert ends[0] < ends[1]
    assert look_into_layers(state, surprise, ["the river"]) is not None
    assert look_into_layers(state, surprise, []) is None
    assert fakes.bits(state) == before
    assert all(p.grad is None for p in state.model.parameters())
    with pytest.raises(ZeroDivisionError):
        activity(state.model, lambda: 1 / 0)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in state.model.modules())
