"""What a step shows to those that watch it, and what they say.

A watch sees the same whenever the step is done again, so that its state is as reproducible as the
weights. It may be a part of the state (see `part.py`); it never changes weights. What it finds
goes into the step's report as events, which the gate's rules read.
"""

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State
    from learner.step_report import StepReport


LABEL_SEPARATOR = "\x1f"
"""Between the labels of a reading that has several."""

Readings = dict[str, dict[str, float]]
"""By metric (a name in `riverrun.metrics.learner_watches`) and label; `""` where it has none."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a watch noticed, at the step that it noticed it.

    kind: `vanishing`, `exploding`, `plateau`, `saddle`, `non_finite`, `drift`, … : what rules name.
    subject: a layer, a source; numbers: by name, what was measured and the bound it crossed.
    """

    kind: str
    subject: str
    numbers: dict[str, float]


class Watch(Protocol):
    """See the module."""

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        """The gradients of the whole step are there, not clipped yet."""
        ...

    def after_update(self, state: "State", lesson: "Lesson", report: "StepReport") -> list[Finding]:
        """The step is done (or was skipped: `report.is_finite`)."""
        ...
