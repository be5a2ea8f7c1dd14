"""river's change detectors over one source's residuals, and their state as bytes and numbers.

Two of them, since they see different changes: Page and Hinkley's sum sees a step at once; ADWIN
needs more, and sees a slow slope. Each runs in two strengths: one warns, one alarms. A residual is
the mean of a group of documents, in deviations of such a mean, so one setting fits every source.

river's objects are restored to the same future behaviour: PageHinkley's numbers one by one, ADWIN's
window as its own binary form (no pickle: it cannot run code).

Source: Page, Continuous Inspection Schemes, 1954; Bifet and Gavalda, Learning from Time-Changing
Data with Adaptive Windowing, 2007.
"""

import base64
import math
from typing import Literal

import msgspec
from river.drift import ADWIN, PageHinkley

Direction = Literal["worse", "easier"]

SLACK = 0.5
"""Deviations of a group's mean that Page and Hinkley's sum forgives each time."""
WARNING, ALARM = 8.0, 14.0
"""Where that sum warns and alarms, in deviations."""
SURE, VERY_SURE = 0.05, 0.002
"""ADWIN's confidence that warns and alarms. Its bound is wide: real errors are far rarer."""
LEAST_SHIFT = 0.5
"""ADWIN sees any shift in the end; one below this many deviations is nobody's business."""


class PageHinkleyFacts(msgspec.Struct, kw_only=True):
    num: float
    mean: float
    sum_up: float
    sum_down: float
    least_up: float | None
    most_down: float
    detected: bool


class Facts(msgspec.Struct, kw_only=True):
    """sums: of the warning and the alarming Page-Hinkley; windows: of the ADWINs, base64."""

    sums: list[PageHinkleyFacts]
    windows: list[str]
    detected: list[bool]


class Verdict(msgspec.Struct, frozen=True):
    level: int
    direction: Direction
    by: str


class Detectors:
    """Feed it group means that have mean 0 and deviation 1 as long as nothing changes."""

    def __init__(self) -> None:
        self._sums = [
            PageHinkley(min_instances=2, delta=SLACK, threshold=most, alpha=1.0, mode="both")
            for most in (WARNING, ALARM)
        ]
        self._windows = [
            ADWIN(delta=delta, clock=1, min_window_length=4, grace_period=8)
            for delta in (SURE, VERY_SURE)
        ]

    def update(self, residual: float) -> Verdict | None:
        """What is seen now, the strongest first: level 1 warns, 2 alarms."""
        seen: list[Verdict] = []
        for level, (page, window) in enumerate(zip(self._sums, self._windows, strict=True), 1):
            page.update(residual)
            if page.drift_detected:
                is_up = page._sum_increase - page._min_increase > page.threshold
                seen.append(Verdict(level, "worse" if is_up else "easier", "page_hinkley"))
            before = window.estimation
            window.update(residual)
            shift = window.estimation - before
            if window.drift_detected and abs(shift) > LEAST_SHIFT:
                seen.append(Verdict(level, "worse" if shift > 0 else "easier", "adwin"))
        return max(seen, key=lambda verdict: verdict.level, default=None)

    # The checkpoint's view

    def facts(self) -> Facts:
        """Floats all of them: river begins with integers, which are other bytes in JSON."""
        return Facts(
            sums=[
                PageHinkleyFacts(
                    num=page._x_mean.n,
                    mean=float(page._x_mean.get()),
                    sum_up=float(page._sum_increase),
                    sum_down=float(page._sum_decrease),
                    least_up=float(page._min_increase)
                    if math.isfinite(page._min_increase)
                    else None,
                    most_down=float(page._max_decrease),
                    detected=page.drift_detected,
                )
                for page in self._sums
            ],
            windows=[
                base64.b64encode(window._helper.__getstate__()).decode() for window in self._windows
            ],
            detected=[window.drift_detected for window in self._windows],
        )

    def restore(self, facts: Facts) -> None:
        for page, told in zip(self._sums, facts.sums, strict=True):
            page._reset()
            page._x_mean.n, page._x_mean._mean = told.num, told.mean
            page._sum_increase, page._sum_decrease = told.sum_up, told.sum_down
            page._min_increase = math.inf if told.least_up is None else told.least_up
            page._max_decrease = told.most_down  # type: ignore[assignment]
            page._drift_detected = told.detected
        for window, state, detected in zip(
            self._windows, facts.windows, facts.detected, strict=True
        ):
            window._helper.__setstate__(base64.b64decode(state))
            window._drift_detected = detected
