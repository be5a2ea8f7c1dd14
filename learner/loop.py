"""The main loop: new text first, then what is due, then sleep.

Everything here happens in one order, so that it can be read from top to bottom: a step is done,
written into the journal, and only then may a version show it (`promotion.py`). Disks fill and Kafka
goes away; then this says so, goes on, and tries again.

Knows no arithmetic (`step.py`), bytes (`checkpoint.py`, `publish.py`) or protocol (`intake.py`).
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from learner.announcements import Announcements
from learner.arrival import Arrival, ranges_of, raw_of
from learner.checkpoint import Checkpoints
from learner.content import content_of
from learner.control.control import Control
from learner.entries import Diverted, Emptied
from learner.gate.gate import Gate
from learner.guard import Guard, unguarded
from learner.identity import Identity
from learner.intake import Intake
from learner.journal import Entry, Journal, Learned
from learner.mirror import Mirror
from learner.observe import observe_diverted, observe_state, observe_step
from learner.promotion import Promotion
from learner.publish import Publisher
from learner.recipe import Rhythm
from learner.redo import divert
from learner.released_text import ReleasedText
from learner.state import State
from learner.step import Stepper
from learner.turns import Turn, take_directly
from learner.write_down import write_down
from riverrun.errors import CheckpointError
from riverrun.metrics import LearnerMetrics

IDLE_WAIT_S = 0.2
"""How long an idle learner listens before it looks whether it should stop."""
CHARACTERS_A_TOKEN = 4
"""About what a token of text is; only to know when to stop gathering more."""

log = logging.getLogger(__name__)


@dataclass
class Loop:
    """The learner at work. `run` ends soon after `stop` is set, with a checkpoint.

    Raises Restart, without one, when a command wants another history.

    take: does a turn and returns when it has ended, on whichever thread (`turns.py`).
    """

    stop: threading.Event
    state: State
    stepper: Stepper
    intake: Intake
    journal: Journal
    publisher: Publisher
    gate: Gate
    announcements: Announcements
    checkpoints: Checkpoints
    identity: Identity
    rhythm: Rhythm
    max_wait_s: float
    metrics: LearnerMetrics
    mirror: Mirror | None = None
    guard: Guard = unguarded
    control: Control | None = None
    released: ReleasedText | None = None
    take: Callable[[Turn], None] = take_directly

    def __post_init__(self) -> None:
        self.promotion = Promotion(
            self.state,
            self.gate,
            self.publisher,
            self.journal,
            self.identity,
            self.rhythm,
            self.metrics,
            self.checkpoints.directory.parent,
            self.stop,
            self.guard,
            self.control,
        )
        self._checkpoint_at = time.monotonic() + self.rhythm.checkpoint_interval_s
        self._is_reserved = False

    def run(self) -> None:
        self.promotion.begin()
        while not self.stop.is_set():
            self.take(self.turn)
        self._last_checkpoint()

    def turn(self) -> None:
        """One step, if there is something to learn, and what follows from it. Raises Restart."""
        if self.control is not None:
            self.control.act()
        is_paused = self.control is not None and self.control.is_paused
        arrivals = [] if is_paused else self._arrivals()
        if is_paused:
            self.stop.wait(IDLE_WAIT_S)
            self.intake.look_ahead()
        if arrivals:
            self._learn(arrivals)
        if not is_paused and self._learn_released():
            pass
        elif not is_paused and not arrivals and self._rehearses:
            self._learn([])
        elif not arrivals and self.promotion.has_unpublished:
            self.promotion.publish("nothing is left to learn")
        if time.monotonic() >= self._checkpoint_at:
            self._checkpoint()
        self._checkpoint_written()
        self._observe()

    @property
    def _rehearses(self) -> bool:
        return len(self.state.rehearsal) > 0 and not self.state.gate.stops_rehearsal

    # New text

    def _arrivals(self) -> list[Arrival]:
        """The documents of the next step: what has come, up to a step's size."""
        limit = self.stepper.recipe.max_step_tokens
        is_busy = (
            self._rehearses or self.promotion.can_publish or self.state.quarantine.is_releasing
        )
        self.intake.listen(
            wait_s=0.0 if is_busy else self._longest_wait_s(),
            gather_s=self.max_wait_s,
            enough_characters=limit * CHARACTERS_A_TOKEN,
        )
        arrivals: list[Arrival] = []
        num_tokens = 0
        while len(self.intake):
            content = content_of(self.intake.first().document)
            num_tokens += self.stepper.framing.num_tokens(content)
            if arrivals and num_tokens > limit:
                break
            arrivals.append(self.intake.take())
        return arrivals

    def _learn_released(self) -> bool:
        """A step on text that was in quarantine, if some of it is there to be learned."""
        if self.released is None:
            return False
        limit = self.stepper.recipe.max_step_tokens
        portion = self.released.next(
            self.state.quarantine,
            limit,
            limit * CHARACTERS_A_TOKEN,
            self.stepper.framing.num_tokens,
        )
        if portion is None:
            return False
        if portion.arrivals:
            self._learn(portion.arrivals, portion.source)
        else:
            num_lost = self.state.quarantine.end(portion.source, portion.partition)
            self.intake.dropped["expired"] += num_lost
            self._write_down(Emptied(portion.source, portion.partition))
        return True

    def _longest_wait_s(self) -> float:
        """How long to listen when nothing else is to be done."""
        if not self.promotion.has_unpublished:
            return IDLE_WAIT_S
        return min(IDLE_WAIT_S, self.promotion.wait_s)

    # A step

    def _learn(self, arrivals: list[Arrival], released: str | None = None) -> None:
        """released: the source whose documents, kept in quarantine until now, these are."""
        if arrivals and released is None and not self.state.quarantine.divert(arrivals).kept:
            divert(self.state, arrivals)
            self._write_down(Diverted(ranges_of(arrivals), raw_of(arrivals)))
            observe_diverted(self.metrics, Counter(a.document.source for a in arrivals))
            return
        began = time.perf_counter()
        report = self.stepper.step(
            self.state, arrivals, released=released, is_stopping=self.stop.is_set
        )
        if report is None:
            return
        self._write_down(
            Learned(
                report.step,
                ranges_of(arrivals),
                raw_of(arrivals),
                released,
                rests=not len(self.state.rehearsal),
                took_ms=round(1000 * (time.perf_counter() - began)),
            )
        )
        if not self._is_reserved:
            self._is_reserved = True
            self.checkpoints.reserve(self.state)
        self.gate.see(self.state, report, [content_of(one.document) for one in arrivals])
        observe_step(self.metrics, report, time.perf_counter() - began)
        if not report.is_finite:
            log.error("step %d was skipped: loss or gradient is not finite", report.step)
        if report.skipped is not None:
            log.error("step %d: %s", report.step, report.skipped.describe())
        for found in report.findings:
            log.warning(
                "step %d: %s, %s: %s", report.step, found.kind, found.subject, found.numbers
            )
        self.promotion.after_step(report.work, report.metrics(), text_waits=len(self.intake) > 0)

    def _write_down(self, entry: Entry) -> None:
        write_down(self.journal, entry, self.stop)

    # Checkpoints

    def _checkpoint(self, *, is_last: bool = False) -> None:
        """Let one be written, unless one is being written still."""
        if self.checkpoints.is_writing and not is_last:
            return
        self._checkpoint_at = time.monotonic() + self.rhythm.checkpoint_interval_s
        if self.state.progress.step == 0:
            return
        began = time.perf_counter()
        try:
            # First: what is learned while it is written belongs to the file that begins with it.
            self.journal.begin_file(self.state.progress.step)
            is_begun = self.checkpoints.begin(self.state, self.identity)
        except (CheckpointError, OSError) as error:
            log.error("no checkpoint was begun; the last one and the journal hold: %s", error)
            return
        if is_begun:
            self.metrics.checkpoint_wait_seconds.observe(time.perf_counter() - began)

    def _checkpoint_written(self, *, wait: bool = False) -> None:
        """Tell of the one that is there now, if it is; the journal behind it may go."""
        try:
            written = self.checkpoints.finished(wait=wait)
            if written is None:
                return
            if written.num_pruned:
                # Until one went, the journal still begins from the untouched model.
                self.journal.forget_before(written.oldest)
        except (CheckpointError, OSError) as error:
            log.error("no checkpoint was written; the last one and the journal hold: %s", error)
            return
        self.metrics.checkpoint_seconds.observe(written.took_s)
        self.metrics.checkpoint_bytes.set(written.num_bytes)

    def _last_checkpoint(self) -> None:
        self._checkpoint_written(wait=True)
        self._checkpoint(is_last=True)
        self._checkpoint_written(wait=True)

    # What others see

    def _observe(self) -> None:
        observe_state(self.metrics, self.state)
        for partition, lag in self.intake.lag().items():
            self.metrics.lag.labels(str(partition)).set(lag)
        oldest_ms = self.intake.oldest_ms()
        age_s = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
        self.metrics.oldest_seconds.set(age_s)
        for reason, count in self.intake.dropped.items():
            self.metrics.dropped.labels(reason).inc(count)
        self.intake.dropped.clear()
        self.announcements.advance()
        if self.mirror is not None:
            self.mirror.show(self.state.progress.next_clean)
