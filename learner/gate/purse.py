"""The time that judging may take: a share of the learner's, measured by the clock.

What is done within it differs from machine to machine, so nothing that it decides is done again by
a replay: decisions are in the journal, with their numbers.

Called by `gate.py`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

LONGEST_SAVED_S = 15.0
"""A quiet hour does not pay for a storm of judging."""
FORGET = 0.8
"""Of the usual cost of a kind of work that one more measurement leaves."""


class Purse:
    """share: of the time since it was made."""

    def __init__(self, share: float, now: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._now = now
        self._began = self._last = now()
        self._saved_s = 0.0
        self._costs: dict[str, float] = {}
        self.spent_s = self._told_s = 0.0

    def usual_s(self, work: str) -> float:
        """What this kind of work cost lately, seconds a unit; 0 before it was ever done."""
        return self._costs.get(work, 0.0)

    @property
    def saved_s(self) -> float:
        """What may be spent now; below nothing when the last work was dearer than thought."""
        now = self._now()
        self._saved_s = min(self._saved_s + self._share * (now - self._last), LONGEST_SAVED_S)
        self._last = now
        return self._saved_s

    def cost_s(self, units: Mapping[str, float]) -> float:
        """What so many units of each kind of work usually cost."""
        return sum(self.usual_s(work) * num for work, num in units.items())

    def affords(self, units: Mapping[str, float]) -> bool:
        """Whether so many units of each kind of work are paid for, by what they usually cost.

        What was never done is thought to cost nothing, so the first candidate does not wait. What
        costs more than can ever be saved is done when that much is, and paid for afterwards.
        """
        return self.saved_s > 0 and self.saved_s >= min(self.cost_s(units), LONGEST_SAVED_S)

    @contextmanager
    def paying(self, work: str, num: float = 1.0) -> Iterator[None]:
        """Whatever it costs is paid, also when it was dearer than thought."""
        began = self._now()
        try:
            yield
        finally:
            took_s = self._now() - began
            self.spent_s += took_s
            self._saved_s = self.saved_s - took_s
            if num > 0:
                before = self._costs.get(work, took_s / num)
                self._costs[work] = FORGET * before + (1 - FORGET) * took_s / num

    def newly_spent_s(self) -> float:
        """Since the last call."""
        new_s, self._told_s = self.spent_s - self._told_s, self.spent_s
        return new_s

    def spent_share(self) -> float:
        """Of all the time since the beginning."""
        return self.spent_s / max(1e-9, self._now() - self._began)
