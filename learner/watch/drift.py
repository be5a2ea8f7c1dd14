"""Whether the text of a source is still what it was: stable, warning, drift.

The live model's loss cannot tell, since it falls while the model learns, and detectors take any
change for a drift. So each source has a frozen reference: a small n-gram model of its first
documents. Its surprise at later documents moves only when the text does. It never saw the other
sources, so a source that takes on its neighbour's language drifts too.

    learning      the reference counts the first 32 documents, then is frozen
    calibrating   its surprise at the next 64 gives a middle and a scale (median and deviations,
                  outliers cut at 4: text has heavy tails)
    watching      means of 16 documents go to the detectors (`detectors.py`)

An alarm for the worse is a drift: the source is in that state until a new reference, learned from
the text as it is now, is calibrated (96 documents). An alarm for the easier (one text sent again
and again, boilerplate) is called `narrowing`; it leaves the state alone and renews the reference
too. A warning is over after 8 quiet groups. Nothing here changes weights; rules read the findings.

A part of the state. Called by `watchers.py`.
"""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
from torch import Tensor

from learner.part import Snapshot
from learner.watch.detectors import Detectors, Facts, Verdict
from learner.watch.ngram import Ngram
from learner.watch.protocol import Finding, Readings, Watch
from riverrun.errors import CheckpointError

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State
    from learner.step_report import StepReport

Level = Literal["stable", "warning", "drift"]
LEVELS: tuple[Level, ...] = ("stable", "warning", "drift")

MAX_SOURCES = 64
"""Watched at once; the one that was longest silent makes room."""
REFERENCE_DOCUMENTS, CALIBRATION_DOCUMENTS = 32, 64
GROUP = 16
"""Documents of one residual."""
QUIET_GROUPS = 8
HEAD_BYTES = 1024
"""Of a document; its beginning tells its language and form."""
FURTHEST = 4.0
"""Deviations that a single document counts at most."""


class Course(msgspec.Struct, kw_only=True):
    """Where one source is. sample: surprises of calibration, bits a byte; group: those of the
    residual to come, in deviations."""

    level: Level = "stable"
    num_reference: int = 0
    sample: list[float] = []
    middle: float = 0.0
    scale: float = 1.0
    mean: float = 0.0
    deviation: float = 1.0
    group: list[float] = []
    quiet: int = 0
    residual: float | None = None
    num_documents: int = 0
    detectors: Facts | None = None


class Source:
    """One source's reference, detectors and state."""

    def __init__(self) -> None:
        self.course = Course()
        self.reference = new_reference()
        self.detectors = Detectors()
        self.is_reference_new = True

    def see(self, text: bytes) -> tuple[str, dict[str, float]] | None:
        """One more document; gives the kind of a finding and its numbers, if there is one."""
        course, head = self.course, text[:HEAD_BYTES]
        if not head:
            return None
        course.num_documents += 1
        if course.num_reference < REFERENCE_DOCUMENTS:
            self.reference.learn(head)
            course.num_reference += 1
            self.is_reference_new = True
            return None
        surprise = self.reference.bits(head) / len(head)
        if len(course.sample) < CALIBRATION_DOCUMENTS:
            course.sample.append(surprise)
            if len(course.sample) == CALIBRATION_DOCUMENTS:
                self._calibrate()
            return None
        cut = _cut((surprise - course.middle) / course.scale)
        course.group.append((cut - course.mean) / course.deviation)
        if len(course.group) < GROUP:
            return None
        course.residual = sum(course.group) / GROUP**0.5
        course.group = []
        return self._judge(self.detectors.update(course.residual), surprise)

    def _calibrate(self) -> None:
        course = self.course
        course.middle = statistics.median(course.sample)
        spread = statistics.median(abs(x - course.middle) for x in course.sample)
        course.scale = max(1.4826 * spread, 1e-3)
        cut = [_cut((x - course.middle) / course.scale) for x in course.sample]
        course.mean = statistics.fmean(cut)
        course.deviation = max(statistics.stdev(cut), 0.1)
        course.level = "stable"

    def _judge(
        self, verdict: Verdict | None, surprise: float
    ) -> tuple[str, dict[str, float]] | None:
        course = self.course
        if verdict is None:
            course.quiet += 1
            if course.level == "warning" and course.quiet >= QUIET_GROUPS:
                course.level = "stable"
            return None
        course.quiet = 0
        numbers = {
            "residual": course.residual or 0.0,
            "surprise": surprise,
            "surprise_before": course.middle,
            "documents": float(course.num_documents),
        }
        if verdict.level == 2:
            is_worse = verdict.direction == "worse"
            self._begin_anew("drift" if is_worse else course.level)
            return "drift" if is_worse else "narrowing", numbers
        if verdict.direction == "worse" and course.level == "stable":
            course.level = "warning"
            return "drift_warning", numbers
        return None

    def _begin_anew(self, level: Level) -> None:
        course = self.course
        self.course = Course(
            level=level, num_documents=course.num_documents, residual=course.residual
        )
        self.reference = new_reference()
        self.detectors = Detectors()
        self.is_reference_new = True


class Drift(Watch):
    """All sources, the one that was longest silent first."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}

    def levels(self) -> dict[str, Level]:
        """By source."""
        return {name: source.course.level for name, source in self._sources.items()}

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        pass

    def after_update(self, state: "State", lesson: "Lesson", report: "StepReport") -> list[Finding]:  # noqa: ARG002
        if lesson.work != "new":
            return []
        findings = []
        for one in lesson.shown:
            found = self.see(one.source, one.text)
            if found is not None:
                findings.append(found)
        return findings

    def see(self, name: str, text: str) -> Finding | None:
        source = self._sources.pop(name, None) or Source()
        self._sources[name] = source
        if len(self._sources) > MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        found = source.see(text.encode())
        return found and Finding(kind=found[0], subject=name, numbers=found[1])

    def readings(self) -> Readings:
        courses = {name: source.course for name, source in self._sources.items()}
        if not courses:
            return {}
        residuals = {n: c.residual for n, c in courses.items() if c.residual is not None}
        found: Readings = {
            "drift_state": {n: float(LEVELS.index(c.level)) for n, c in courses.items()}
        }
        return found | ({"drift_residual": residuals} if residuals else {})

    # The checkpoint's view: references that are frozen are written once

    def snapshot(self, *, whole: bool) -> Snapshot:
        tensors: dict[str, Tensor] = {}
        courses: list[tuple[str, Course]] = []
        for name, source in self._sources.items():
            source.course.detectors = source.detectors.facts()
            courses.append((name, source.course))
            if whole or source.is_reference_new:
                tensors |= {f"{name}/{key}": t for key, t in source.reference.tensors().items()}
            source.is_reference_new = False
        return Snapshot(tensors, msgspec.json.encode(courses), whole)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            courses = msgspec.json.decode(snapshots[-1].facts, type=list[tuple[str, Course]])
        except msgspec.DecodeError as error:
            raise CheckpointError(f"drift: {error}") from error
        tensors: dict[str, Tensor] = {}
        for one in snapshots:
            tensors |= one.tensors
        by_source: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            name, _, short = key.rpartition("/")
            by_source.setdefault(name, {})[short] = tensor
        restored: dict[str, Source] = {}
        for name, course in courses:
            source = restored[name] = Source()
            source.course = course
            source.reference.restore_tensors(by_source.get(name, {}), 0)
            if course.detectors is not None:
                source.detectors.restore(course.detectors)
            source.is_reference_new = False
        self._sources = restored


def new_reference() -> Ngram:
    """130 kB."""
    return Ngram(max_order=3, context_bits=10, count_bits=12)


def _cut(deviations: float) -> float:
    return max(-FURTHEST, min(FURTHEST, deviations))
