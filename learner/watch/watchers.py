"""All that watches, put together: one watch for the step, parts for the state, readings for all.

Called by `start.py`; a step's report carries what they found and read.
"""

import time
from typing import TYPE_CHECKING, Protocol

from learner.framing import Framing
from learner.part import Part
from learner.recipe import Recipe
from learner.state import State
from learner.watch.baseline import Baseline
from learner.watch.drift import Drift
from learner.watch.health import Health
from learner.watch.near_future import NearFuture
from learner.watch.protocol import Finding, Readings, Watch
from learner.watch.retention import Retention
from learner.watch.surprise import Surprise
from riverrun.settings import WatchSettings

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.step_report import StepReport


class Member(Watch, Part, Protocol):
    """A watch that is a part of the state and tells what it last measured."""

    def readings(self) -> Readings: ...


class Watchers(Watch):
    """Made for one state, before it is restored: adds its members to the state's parts."""

    def __init__(
        self, state: State, framing: Framing, recipe: Recipe, settings: WatchSettings
    ) -> None:
        self.surprise = Surprise(framing, recipe)
        self.baseline = Baseline()
        self.drift = Drift()
        self.health = Health(settings, self.surprise, self.baseline)
        self.retention = Retention(
            state.held_out,
            self.surprise,
            self.baseline.ngram,
            settings.evaluation_tokens,
            settings.evaluation_share,
        )
        members: dict[str, Member] = {
            "watch_baseline": self.baseline,
            "watch_drift": self.drift,
            "watch_health": self.health,
            "watch_retention": self.retention,
            "watch_near_future": NearFuture(
                self.surprise, settings.near_future_gap, settings.near_future_share
            ),
        }
        for name, member in members.items():
            state.add_part(name, member)
        self.members = members
        self.seconds = 0.0
        """That the watches took of the last step."""

    def before_update(self, state: State, lesson: "Lesson") -> None:
        began = time.perf_counter()
        for member in self.members.values():
            member.before_update(state, lesson)
        self.seconds = time.perf_counter() - began

    def after_update(self, state: State, lesson: "Lesson", report: "StepReport") -> list[Finding]:
        began = time.perf_counter()
        found = [
            finding
            for member in self.members.values()
            for finding in member.after_update(state, lesson, report)
        ]
        report.readings = self.readings()
        self.seconds += time.perf_counter() - began
        report.watch_seconds = self.seconds
        return found

    def readings(self) -> Readings:
        """What was measured last, by metric and label."""
        return {
            name: by_label
            for member in self.members.values()
            for name, by_label in member.readings().items()
        }
