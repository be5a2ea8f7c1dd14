"""The main loop: new text first, then what is due, then sleep.

Everything here happens in one thread and in one order, so that it can be read from top to bottom:
a step is done, written into the journal, and only then may a version show it. Disks fill and Kafka
goes away; then this says so, goes on, and tries again.

Knows no arithmetic (`step.py`), bytes (`checkpoint.py`, `publish.py`) or protocol (`intake.py`).
"""

import logging
import threading
import time
from dataclasses import dataclass

from learner.announcements import Announcements
from learner.arrival import Arrival, ranges_of
from learner.checkpoint import Checkpoints
from learner.content import content_of
from learner.identity import Identity
from learner.intake import Intake
from learner.journal import Journal, Learned
from learner.mirror import Mirror
from learner.observe import observe_state, observe_step
from learner.publish import Publisher
from learner.recipe import Rhythm
from learner.state import State
from learner.step import Stepper
from riverrun.errors import CheckpointError, StoreError
from riverrun.metrics import LearnerMetrics

IDLE_WAIT_S = 0.2
"""How long an idle learner listens before it looks whether it should stop."""
RETRY_S = 2.0
"""Pause before something that the disk refused is tried again."""
CHARACTERS_A_TOKEN = 4
"""About what a token of text is; only to know when to stop gathering more."""

log = logging.getLogger(__name__)


@dataclass
class Loop:
    """The learner at work. `run` ends soon after `stop` is set, with a checkpoint."""

    stop: threading.Event
    state: State
    stepper: Stepper
    intake: Intake
    journal: Journal
    publisher: Publisher
    announcements: Announcements
    checkpoints: Checkpoints
    identity: Identity
    rhythm: Rhythm
    max_wait_s: float
    metrics: LearnerMetrics
    mirror: Mirror | None = None

    def __post_init__(self) -> None:
        self._published_at = -float("inf")
        self._publish_again_at = 0.0
        self._checkpoint_at = time.monotonic() + self.rhythm.checkpoint_interval_s
        self._step_metrics: dict[str, float] = {}
        self._is_reserved = False

    def run(self) -> None:
        # A kill may have come between a version and its line in the journal. Its weights are the
        # ones at hand: published again, they are the same version, and no version stays unknown.
        self._publish("resumed")
        while not self.stop.is_set():
            arrivals = self._arrivals()
            if arrivals or len(self.state.rehearsal):
                self._learn(arrivals)
            elif self._has_unpublished:
                self._publish("nothing is left to learn")
            if time.monotonic() >= self._checkpoint_at:
                self._checkpoint()
            self._checkpoint_written()
            self._observe()
        self._last_checkpoint()

    # New text

    def _arrivals(self) -> list[Arrival]:
        """The documents of the next step: what has come, up to a step's size."""
        limit = self.stepper.recipe.max_step_tokens
        is_busy = len(self.state.rehearsal) > 0 or self._can_publish
        self.intake.listen(
            wait_s=0.0 if is_busy else IDLE_WAIT_S,
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

    # A step

    def _learn(self, arrivals: list[Arrival]) -> None:
        began = time.perf_counter()
        report = self.stepper.step(self.state, arrivals, is_stopping=self.stop.is_set)
        if report is None:
            return
        self._write_down(Learned(report.step, ranges_of(arrivals)))
        if not self._is_reserved:
            self._is_reserved = True
            self.checkpoints.reserve(self.state)
        observe_step(self.metrics, report, time.perf_counter() - began)
        if not report.is_finite:
            log.error("step %d was skipped: loss or gradient is not finite", report.step)
        if report.skipped is not None:
            log.error("step %d: %s", report.step, report.skipped.describe())
        for found in report.findings:
            log.warning(
                "step %d: %s, %s: %s", report.step, found.kind, found.subject, found.numbers
            )
        # Rehearsal has no prequential loss: the last new text's stays the news.
        self._step_metrics.update(report.metrics())
        interval_s = (
            self.rhythm.publish_interval_s
            if report.work == "new"
            else self.rhythm.rehearsal_interval_s
        )
        if time.monotonic() - self._published_at >= interval_s:
            self._publish("new text" if report.work == "new" else "rehearsal")

    def _write_down(self, learned: Learned) -> None:
        """Into the journal, however long the disk takes: nothing may follow before it is there."""
        while True:
            try:
                self.journal.append(learned)
            except OSError as error:
                log.error("the journal cannot be written, trying again: %s", error)
                if self.stop.wait(RETRY_S):
                    # The step is in the checkpoint that follows, or it never happened.
                    return
            else:
                return

    # Versions and checkpoints

    @property
    def _has_unpublished(self) -> bool:
        return self.state.progress.step > self.state.progress.version_step

    @property
    def _can_publish(self) -> bool:
        return self._has_unpublished and time.monotonic() >= self._publish_again_at

    def _publish(self, reason: str) -> None:
        if not self._can_publish:
            return
        try:
            manifest = self.publisher.publish(self.state, self._step_metrics, reason)
        except (StoreError, OSError) as error:
            log.error("no version was published, trying again in %g s: %s", RETRY_S, error)
            self.metrics.versions.labels("failed").inc()
            self._publish_again_at = time.monotonic() + RETRY_S
        else:
            self._published_at = time.monotonic()
            log.info("version %s (%s)", manifest.version, reason)

    def _checkpoint(self, *, is_last: bool = False) -> None:
        """Let one be written, unless one is being written still."""
        if self.checkpoints.is_writing and not is_last:
            return
        self._checkpoint_at = time.monotonic() + self.rhythm.checkpoint_interval_s
        if self.state.progress.step == 0:
            return
        try:
            # First: what is learned while it is written belongs to the file that begins with it.
            self.journal.begin_file(self.state.progress.step)
            self.checkpoints.begin(self.state, self.identity)
        except (CheckpointError, OSError) as error:
            log.error("no checkpoint was begun; the last one and the journal hold: %s", error)

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
        self.metrics.checkpoint_wait_seconds.observe(written.waited_s)
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
