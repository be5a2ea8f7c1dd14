"""Whether learning stands still, and of what kind the place is where it stands.

Looked at in windows of updates on new text: the mean loss (bits a byte, before learning) and the
median gradient norm of each.

    stalled    the window is not 1% better than the one before
    high       its loss is 5% above the best window ever, or above what the blind n-gram baseline
               pays: there is something left to learn. A loss that is not high, standing still, is
               a minimum, or as good as this stream allows: no finding
    small      its gradient is a tenth of the largest window's, or less

Stalled and high is a finding. With a gradient that is not small it is a `plateau` of the loss
alone: the updates do not add up (rate, noise). With a small one the curvature decides
(`curvature.py`), as a share of the largest either way:

    saddle     lowest below -5%: there is a way down that the gradient does not show
    minimum    no way down and the highest is well above the flat: a poor minimum, where only
               another place (more memory, a rolled back version, a new rate) helps
    plateau    no curvature to speak of (vanished gradients, dead units)

Curvature is that of the probe's loss in a block of parameters. A block's negative curvature is one
of the whole (Cauchy's interlacing); a block without any proves nothing of the rest.

Knows nothing of models. Called by `health.py`.
"""

from collections.abc import Callable
from statistics import fmean, median
from typing import Literal

import msgspec

Kind = Literal["plateau", "saddle", "minimum"]

BETTER = 0.01
HIGH = 1.05
SMALL = 0.1
NEGATIVE = 0.05
FLAT = 1e-6
"""A curvature below this, in loss a unit of weights squared, is none."""


class Course(msgspec.Struct, kw_only=True):
    """losses, norms: of the window that is filling; before, best: mean losses of windows;
    steepest: the largest median gradient norm of a window."""

    losses: list[float] = []
    norms: list[float] = []
    before: float | None = None
    best: float | None = None
    steepest: float = 0.0


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    numbers: dict[str, float]


def look(
    course: Course,
    window: int,
    loss: float,
    norm: float,
    baseline: float | None,
    curvature: Callable[[], tuple[float, float] | None],
) -> Stall | None:
    """One more update's loss (bits a byte) and gradient norm; a stall, if a window just ended in
    one. baseline: of the n-gram model; curvature: lowest and highest, asked for only if needed."""
    course.losses.append(loss)
    course.norms.append(norm)
    if len(course.losses) < window:
        return None
    mean, steepness = fmean(course.losses), median(course.norms)
    before, best = course.before, course.best
    course.losses, course.norms = [], []
    course.before = mean
    course.best = mean if best is None else min(best, mean)
    course.steepest = max(course.steepest, steepness)
    if before is None or best is None or mean < (1 - BETTER) * before:
        return None
    bound = HIGH * best if baseline is None else min(HIGH * best, baseline)
    if mean <= bound:
        return None
    numbers = {
        "loss": mean,
        "loss_before": before,
        "bound": bound,
        "gradient_norm": steepness,
        "steepest": course.steepest,
    }
    if steepness > SMALL * course.steepest:
        return Stall(kind="plateau", numbers=numbers)
    ends = curvature()
    if ends is None:
        return Stall(kind="plateau", numbers=numbers)
    numbers |= {"lowest_curvature": ends[0], "highest_curvature": ends[1]}
    return Stall(kind=shape_of(*ends), numbers=numbers)


def shape_of(lowest: float, highest: float) -> Kind:
    """Of a place with a small gradient."""
    largest = max(abs(lowest), abs(highest))
    if not largest > FLAT:
        return "plateau"
    return "saddle" if lowest < -NEGATIVE * largest else "minimum"
