"""Each of Avalanche's plugins does to the weights what its paper says."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from learner.batch import Batch, Text, build
from learner.framing import Example
from learner.lesson import Lesson
from learner.losses import logits_at
from learner.strategies.term import Said
from tests.learner.avalanche.runs import STEPS, Run, Start

OTHER = [Example([0, *b"quite another text", 0], 1), Example([0, *b"qqqq zzzz", 0], 1)]


def batch_of(run: Run, examples: list[Example]) -> Batch:
    num_targets = sum(example.num_targets for example in examples)
    texts = [Text(example, 1 / num_targets, 0) for example in examples]
    return build(run.framing.prefix, texts, [], run.recipe.row_tokens, torch.device("cpu"))


def logits_of(run: Run, examples: list[Example]) -> Tensor:
    return logits_at(run.state.model, batch_of(run, examples), anchored=False)[0]


def added(run: Run, examples: list[Example] = OTHER) -> tuple[Tensor, dict[str, Tensor]]:
    """What the plugin adds to the loss of these examples, and the gradient of that alone."""
    batch = batch_of(run, examples)
    logits_NV, logits_MV = logits_at(run.state.model, batch, anchored=True)
    added_to = run.term.loss(batch, Said(logits_NV, logits_MV))
    assert added_to is not None
    loss = added_to.loss
    parameters = dict(run.state.model.named_parameters())
    grads = torch.autograd.grad(loss, list(parameters.values()))
    return loss.detach(), dict(zip(parameters, grads, strict=True))


def weights_of(run: Run) -> dict[str, Tensor]:
    return {n: p.detach().clone() for n, p in run.state.model.named_parameters()}


def experience_of(run: Run) -> list[Example]:
    return run.term.sample.examples(np.arange(len(run.term.sample), dtype=np.int64))


def mean_over_batches(run: Run, power: str) -> dict[str, Tensor]:
    """By hand, over the experience in batches of eight: EWC's Fisher or MAS's importance."""
    examples, model = experience_of(run), run.state.model
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    batches = [examples[i : i + 8] for i in range(0, len(examples), 8)]
    for each in batches:
        logits_NV = logits_of(run, each)
        if power == "fisher":
            targets = torch.tensor([t for x in each for t in x.tokens[x.first_target :]])
            loss = F.cross_entropy(logits_NV, targets)
        else:
            loss = logits_NV.pow(2).sum(1).mean()
        grads = torch.autograd.grad(loss, list(model.parameters()))
        for name, grad in zip(total, grads, strict=True):
            total[name] += (grad.pow(2) if power == "fisher" else grad.abs()) / len(batches)
    return total


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert max(float(t.abs().max()) for t in expected.values()) > 0, "there is something to see"
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("plugin", "power"),
    [
        ("EWC:ewc_lambda=50", "fisher"),
        ("EWC:ewc_lambda=50,mode=separate", "fisher"),
        ("MAS:lambda_reg=50", "norm"),
    ],
)
def test_penalty_pulls_to_the_last_experience_by_lambda_times_importance(
    start: Start, plugin: str, power: str
) -> None:
    """Gradient 2 lambda I (theta - theta*), and none in the first experience."""
    run = start(plugin)
    run.go(1, STEPS)
    anchor, importance = weights_of(run), mean_over_batches(run, power)
    run.go(STEPS + 1, STEPS + 2)
    now = weights_of(run)
    expected = {n: 2 * 50 * importance[n] * (now[n] - anchor[n]) for n in now}
    loss, gradient = added(run)
    assert_close(gradient, expected)
    by_hand = sum(50 * (importance[n] * (now[n] - anchor[n]).pow(2)).sum() for n in now)
    assert float(loss) == pytest.approx(float(by_hand), rel=1e-2)


def test_si_pulls_by_what_each_weight_has_done_for_the_loss(start: Start) -> None:
    """Gradient lambda Omega (theta - theta*), Omega = min(sum(-g step) / (path^2 + eps), 1e-3)."""
    run = start("SI:si_lambda=500")
    began = weights_of(run)
    path = {name: torch.zeros_like(w) for name, w in began.items()}
    hook, before = run.strategy.after_update, [weights_of(run)]

    def after_update(state: Any, lesson: Lesson) -> None:
        now = weights_of(run)
        for name, p in run.state.model.named_parameters():
            assert p.grad is not None
            path[name] += p.grad * (now[name] - before[0][name])
        before[0] = now
        hook(state, lesson)

    run.strategy.after_update = after_update  # type: ignore[method-assign]
    run.go(1, STEPS)
    anchor = weights_of(run)
    omega = {n: (-path[n] / ((anchor[n] - began[n]).pow(2) + 1e-7)).clamp(max=1e-3) for n in anchor}
    run.go(STEPS + 1, STEPS + 2)
    now = weights_of(run)
    assert_close(added(run)[1], {n: 500 * omega[n] * (now[n] - anchor[n]) for n in now})


def test_lwf_adds_the_distillation_from_the_model_before(start: Start) -> None:
    """alpha KL(before || now) at temperature 2, over the tokens that the experience predicted."""
    run = start("LwF:alpha=3")
    run.go(1, STEPS)
    with torch.no_grad():
        teacher = logits_of(run, OTHER)
    tokens = sorted({t for x in experience_of(run) for t in x.tokens[x.first_target :]})
    run.go(STEPS + 1, STEPS + 2)
    student = logits_of(run, OTHER)
    by_hand = 3 * F.kl_div(
        (student[:, tokens] / 2).log_softmax(1),
        (teacher[:, tokens] / 2).softmax(1),
        reduction="batchmean",
    )
    loss, gradient = added(run)
    assert float(loss) == pytest.approx(float(by_hand.detach()), rel=1e-3)
    parameters = list(run.state.model.parameters())
    grads = torch.autograd.grad(by_hand, parameters)
    assert_close(gradient, dict(zip(gradient, grads, strict=True)))


@pytest.mark.parametrize("plugin", ["EWC:ewc_lambda=500", "MAS:lambda_reg=50", "LwF:alpha=5"])
def test_weights_are_those_without_the_plugin_until_the_second_experience(
    start: Start, plugin: str
) -> None:
    plain, with_plugin = start(), start(plugin)
    for run in (plain, with_plugin):
        run.go(1, STEPS)
    anchor = weights_of(plain)
    assert all(torch.equal(w, weights_of(with_plugin)[n]) for n, w in anchor.items())
    for run in (plain, with_plugin):
        run.go(STEPS + 1, 2 * STEPS)

    def moved(run: Run) -> float:
        return sum(float((w - anchor[n]).pow(2).sum()) for n, w in weights_of(run).items())

    assert moved(with_plugin) < moved(plain)


def gradient_of(run: Run) -> Tensor:
    grads = [p.grad for p in run.state.model.parameters()]
    assert all(g is not None for g in grads)
    return torch.cat([g.flatten() for g in grads if g is not None])


def set_gradient(run: Run, flat: Tensor) -> None:
    start = 0
    for p in run.state.model.parameters():
        p.grad = flat[start : start + p.numel()].view_as(p).clone()
        start += p.numel()


def noise_of(run: Run) -> Tensor:
    """What no gradient explains, about as large as one."""
    num_all = sum(p.numel() for p in run.state.model.parameters())
    return 0.02 * torch.randn(num_all, generator=torch.Generator().manual_seed(0))


def in_a_step(run: Run, step: int, change: Any) -> Tensor:
    """Do a step whose gradient is `change()` before the plugin sees it; what it then is."""
    seen: list[Tensor] = []
    hook = run.strategy.before_update

    def before_update(state: Any, lesson: Lesson) -> None:
        set_gradient(run, change())
        hook(state, lesson)
        seen.append(gradient_of(run))

    run.strategy.before_update = before_update  # type: ignore[method-assign]
    run.go(step, step)
    run.strategy.before_update = hook  # type: ignore[method-assign]
    return seen[0]


def test_agem_takes_out_what_would_raise_the_loss_of_memory(start: Start) -> None:
    run = start("AGEM")
    run.go(1, STEPS + 1)
    noise = noise_of(run)
    reference: list[Tensor] = []

    def against() -> Tensor:
        reference.append(run.term.plugin.reference_gradients.clone())
        return noise - 3 * reference[0]

    projected = in_a_step(run, STEPS + 2, against)
    r = reference[0]
    given = noise - 3 * r
    assert float(given @ r) < 0
    torch.testing.assert_close(projected, given - r * (given @ r) / (r @ r), rtol=1e-4, atol=1e-6)
    assert float(projected @ r) >= -1e-4 * float(projected.norm() * r.norm())

    def along() -> Tensor:
        reference.append(run.term.plugin.reference_gradients.clone())
        return reference[-1]

    unchanged = in_a_step(run, STEPS + 3, along)
    assert torch.equal(unchanged, run.term.plugin.reference_gradients)


def gem_by_hand(rows: Tensor, given: Tensor, strength: float, ridge: float) -> Tensor:
    """The quadratic program of GEM, by trying each set of active bounds: `given + v rows` with the
    v at or above `strength` that minimizes half of |given + v rows|^2 + ridge |v|^2.

    At strength and ridge 0 that is the gradient nearest to `given` that raises no memory's loss.
    """
    G, g = rows.double(), given.double()
    P, q = G @ G.T + ridge * torch.eye(len(G), dtype=torch.float64), G @ g
    best: tuple[float, Tensor] | None = None
    for number in range(2 ** len(G)):
        free = torch.tensor([bool(number >> i & 1) for i in range(len(G))])
        v = torch.full((len(G),), strength, dtype=torch.float64)
        if free.any():
            bound = P[free][:, ~free] @ v[~free]
            v[free] = torch.linalg.solve(P[free][:, free], -q[free] - bound)
        cost = float(v @ P @ v / 2 + q @ v)
        if bool((v >= strength).all()) and (best is None or cost < best[0]):
            best = (cost, v)
    assert best is not None
    return (g + best[1] @ G).float()


@pytest.mark.parametrize(
    ("plugin", "strength", "against"),
    [
        ("GEM:memory_strength=0", 0.0, (3.0, 3.0)),
        ("GEM:memory_strength=0", 0.0, (3.0, -1.0)),
        ("GEM", 0.5, (0.1, 3.0)),
    ],
)
def test_gem_takes_the_nearest_gradient_that_raises_the_loss_of_no_memory(
    start: Start, plugin: str, strength: float, against: tuple[float, float]
) -> None:
    """Of a gradient that goes so far against each of two memories, and elsewhere besides.

    Avalanche adds a thousandth to the program's diagonal, as the authors do.
    """
    run = start(plugin)
    run.go(1, 2 * STEPS + 1)
    seen: list[tuple[Tensor, Tensor]] = []

    def given() -> Tensor:
        rows, noise = run.term.plugin.G.clone(), noise_of(run)
        assert len(rows) == 2, "two experiences are over"
        elsewhere = noise - torch.linalg.solve(rows @ rows.T, rows @ noise) @ rows
        seen.append((rows, elsewhere - torch.tensor(against) @ rows))
        return seen[0][1]

    projected = in_a_step(run, 2 * STEPS + 2, given)
    rows, before = seen[0]
    assert bool((rows @ before < 0).any())
    by_hand = gem_by_hand(rows, before, strength, ridge=1e-3)
    torch.testing.assert_close(projected, by_hand, rtol=1e-4, atol=1e-6)
    nearest = gem_by_hand(rows, before, 0.0, ridge=0.0)
    lengths = rows.norm(dim=1) * nearest.norm()
    assert float((rows @ nearest / lengths).min()) >= -1e-5
    if strength == 0:
        assert float((projected - nearest).norm()) <= 0.01 * float((before - nearest).norm())
    else:
        # It goes further towards a memory than to harm it no more.
        assert float(rows[0] @ projected) > float(rows[0] @ nearest)
