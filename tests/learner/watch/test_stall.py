"""Saddles, minima and flats that are known are told apart."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from learner.watch.curvature import extremes
from learner.watch.stall import Course, Stall, look, shape_of

MINIMUM = torch.linspace(0.5, 4.0, 200)
SADDLE = torch.cat([MINIMUM[:-3], torch.tensor([-0.8, -1.5, -0.4])])
FLAT = torch.full((200,), 1e-9)


def quadratic(curvatures_P: Tensor, at_P: Tensor) -> Callable[[Tensor], Tensor]:
    """The gradient of half the sum of c x^2."""
    return lambda displacement_P: curvatures_P * (at_P + displacement_P)


@pytest.mark.parametrize(
    ("curvatures_P", "kind"), [(MINIMUM, "minimum"), (SADDLE, "saddle"), (FLAT, "plateau")]
)
@pytest.mark.parametrize("is_exact", [True, False])
def test_constructed_places_are_told_apart(curvatures_P: Tensor, kind: str, is_exact: bool) -> None:
    """At the very point (no gradient at all), and where the gradient shows only ways up."""
    at_P = torch.zeros(200)
    if not is_exact:
        at_P[:50] = 1e-3
    gradient_at = quadratic(curvatures_P, at_P)
    lowest, highest = extremes(gradient_at, gradient_at(torch.zeros(200)), 1.0)
    assert shape_of(lowest, highest) == kind
    assert float(curvatures_P.min()) - 1e-2 <= lowest <= highest <= float(curvatures_P.max()) + 1e-2


def test_the_extremes_are_those_of_a_small_matrix() -> None:
    torch.manual_seed(0)
    half = torch.randn(8, 8, dtype=torch.float64)
    hessian = half + half.T
    lowest, highest = extremes(
        lambda d_P: hessian @ d_P, torch.zeros(8, dtype=torch.float64), 1.0, 8
    )
    values = torch.linalg.eigvalsh(hessian)
    assert (lowest, highest) == pytest.approx((float(values[0]), float(values[-1])), rel=1e-6)


def windows(
    *told: tuple[float, float],
    baseline: float | None = None,
    curvature: Callable[[], tuple[float, float] | None] = lambda: None,
) -> list[Stall | None]:
    """What is said at the end of each window of constant (loss, gradient norm)."""
    course = Course()
    said = []
    for loss, norm in told:
        results = [look(course, 4, loss, norm, baseline, curvature) for _ in range(4)]
        assert results[:3] == [None] * 3
        said.append(results[3])
    return said


def kinds(stalls: list[Stall | None]) -> list[str | None]:
    return [stall.kind if stall else None for stall in stalls]


def test_a_loss_that_falls_is_no_stall_and_neither_is_standing_at_the_best() -> None:
    assert kinds(windows((5, 1), (4, 1), (3, 0.01), (3, 0.01), (2.99, 0.01))) == [None] * 5


def test_standing_above_what_blind_counting_reaches_is_a_stall() -> None:
    assert kinds(windows((5, 1), (5, 1), baseline=3.0)) == [None, "plateau"]
    assert kinds(windows((2, 1), (2, 1), baseline=3.0)) == [None, None]


def test_a_small_gradient_at_a_high_loss_is_told_by_its_curvature() -> None:
    told = ((5, 1), (2, 1), (4, 0.01), (4, 0.01))
    for ends, kind in (((-1.0, 2.0), "saddle"), ((0.1, 2.0), "minimum"), ((0, 1e-9), "plateau")):
        stall = windows(*told, curvature=lambda ends=ends: ends)[3]
        assert stall is not None
        assert stall.kind == kind
        assert stall.numbers["lowest_curvature"] == ends[0]
        assert (stall.numbers["loss"], stall.numbers["bound"]) == (4, pytest.approx(2.1))


def test_the_curvature_is_asked_for_only_where_it_decides() -> None:
    asked: list[int] = []

    def noted() -> None:
        asked.append(1)

    windows((5, 1), (2, 1), (4, 1), (4, 1), curvature=noted)
    windows((2, 1), (2, 0.01), (2, 0.01), curvature=noted)
    assert asked == []
