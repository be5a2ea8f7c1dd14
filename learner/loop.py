"""The main loop: new text first, then what is due, then sleep.

Everything here happens in one thread and in one order, so that it can be read from top to bottom:
a step is done, written into the journal, and only then may a version show it. Disks fill and Kafka
goes away; then this says so, goes on, and tries again.

Knows no arithmetic (`step.py`), bytes (`checkpoint.py`, `publish.py`) or protocol (`intake.py`).
"""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass

from learner.announcements import Announcements
from learner.arrival import Arrival, ranges_of, raw_of
from learner.checkpoint import Checkpoints
from learner.content import content_of
from learner.control import Control
from learner.entries import Diverted, Emptied
from learner.gate.decisions import carry_out
from learner.gate.gate import Gate
from learner.gate.roll_back import roll_back
from learner.guard import Guard, unguarded
from learner.identity import Identity
from learner.intake import Intake
from learner.journal import Decided, Entry, Journal, Learned
from learner.lesson import Work
from learner.mirror import Mirror
from learner.observe import observe_decision, observe_diverted, observe_state, observe_step
from learner.publish import Publisher
from learner.recipe import Rhythm
from learner.redo import divert
from learner.released_text import ReleasedText
from learner.restart import Restart
from learner.state import State
from learner.step import Stepper
from learner.undo.intent import write_intent
from riverrun.errors import CheckpointError, StoreError
from riverrun.metrics import LearnerMetrics

IDLE_WAIT_S = 0.2
"""How long an idle learner listens before it looks whether it should stop."""
RETRY_S = 2.0
"""Pause before something that the disk refused is tried again."""
JUDGE_AGAIN_S = 0.02
"""Pause before it is looked again whether there is judging time."""
CHARACTERS_A_TOKEN = 4
"""About what a token of text is; only to know when to stop gathering more."""

log = logging.getLogger(__name__)


@dataclass
class Loop:
    """The learner at work. `run` ends soon after `stop` is set, with a checkpoint.

    Raises Restart, without one, when a command wants another history.
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

    def __post_init__(self) -> None:
        self._published_at = -float("inf")
        self._publishing_s = 0.0
        self._publish_again_at = 0.0
        self._checkpoint_at = time.monotonic() + self.rhythm.checkpoint_interval_s
        self._step_metrics: dict[str, float] = {}
        self._is_reserved = False

    def run(self) -> None:
        # A kill may have come between a version and its line in the journal. Its weights are the
        # ones at hand: published again, they are the same version, and no version stays unknown.
        pending = self.state.gate.pending(self.state.progress.step)
        if pending is not None and pending.verdict == "roll_back" and not self._has_unpublished:
            # A kill came between its version and the intent.
            self._roll_back(pending)
        self._publish((self.control and self.control.reason) or "resumed")
        while not self.stop.is_set():
            self.turn()
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
        elif not is_paused and not arrivals and len(self.state.rehearsal):
            self._learn([])
        elif not arrivals and self._has_unpublished:
            self._publish("nothing is left to learn")
        if time.monotonic() >= self._checkpoint_at:
            self._checkpoint()
        self._checkpoint_written()
        self._observe()

    # New text

    def _arrivals(self) -> list[Arrival]:
        """The documents of the next step: what has come, up to a step's size."""
        limit = self.stepper.recipe.max_step_tokens
        is_busy = (
            len(self.state.rehearsal) > 0 or self._can_publish or self.state.quarantine.is_releasing
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
        if not self._has_unpublished:
            return IDLE_WAIT_S
        return min(IDLE_WAIT_S, max(0.0, self._publish_again_at - time.monotonic()))

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
        # Rehearsal has no prequential loss: the last new text's stays the news.
        self._step_metrics.update(report.metrics())
        if time.monotonic() - self._published_at >= self._publishing_interval_s(report.work):
            self._publish("new text" if report.work == "new" else "rehearsal")

    def _write_down(self, entry: Entry) -> bool:
        """Into the journal, however long the disk takes: nothing may follow before it is there.

        False when stopped before it was.
        """
        while True:
            try:
                self.journal.append(entry)
            except OSError as error:
                log.error("the journal cannot be written, trying again: %s", error)
                if self.stop.wait(RETRY_S):
                    # The step is in the checkpoint that follows, or it never happened.
                    return False
            else:
                return True

    # Versions and checkpoints

    def _publishing_interval_s(self, work: Work) -> float:
        """From one version to the next: longer while text waits, and versions hold it up."""
        if work == "rehearsal":
            return self.rhythm.rehearsal_interval_s
        if not len(self.intake):
            return self.rhythm.publish_interval_s
        paid_s = self._publishing_s / self.rhythm.publishing_share - self._publishing_s
        return max(self.rhythm.publish_interval_s, paid_s)

    @property
    def _has_unpublished(self) -> bool:
        progress = self.state.progress
        # A new line has a version of its own, even if an older one has the same weights.
        is_of_this_line = progress.version is None or self.identity.made(progress.version)
        return progress.step > progress.version_step or not is_of_this_line

    @property
    def _can_publish(self) -> bool:
        return self._has_unpublished and time.monotonic() >= self._publish_again_at

    def _publish(self, reason: str) -> None:
        if not self._can_publish:
            return
        began = time.monotonic()
        decided = self._decided(reason)
        if decided is None:
            return
        try:
            is_held = self.control is not None and self.control.is_held
            manifest = self.publisher.publish(
                self.state, self._step_metrics, reason, decided, is_held=is_held
            )
        except (StoreError, OSError) as error:
            log.error("no version was published, trying again in %g s: %s", RETRY_S, error)
            self.metrics.versions.labels("failed").inc()
            self._publish_again_at = time.monotonic() + RETRY_S
        else:
            self._published_at = time.monotonic()
            self._publishing_s = self._published_at - began
            log.log(
                logging.INFO if manifest.decision == "promote" else logging.WARNING,
                "version %s: %s (%s)",
                manifest.version,
                manifest.decision,
                manifest.reason,
            )
            if manifest.decision == "promote":
                self.gate.took_over(self.state, decided)
            elif manifest.decision == "roll_back":
                self._roll_back(decided)

    def _roll_back(self, decided: Decided) -> None:
        """Serving goes back at once, and the learner begins anew from there.

        Raises Restart. Where nothing can be gone back to, the version is only held.
        """
        store, directory = self.publisher.store, self.checkpoints.directory.parent
        try:
            found = roll_back(self.state, store, self.identity, decided, directory)
            if self.control is None or not self.control.is_held:
                store.promote(found.to)
        except (CheckpointError, StoreError) as error:
            self.metrics.decisions.labels("roll_back_failed").inc()
            log.error("nothing can be rolled back, the version is held: %s", error)
            return
        self.metrics.rolled_back_documents.inc(found.num_documents)
        log.error("rolled back to %s: %s", found.to, decided.reason)
        if self.control is not None:
            self.control.tell_undone()
        write_intent(directory, found.intent, self.guard)
        raise Restart(f"rolled back to {found.to}")

    def _decided(self, occasion: str) -> Decided | None:
        """The decision on the state as it is: one that stands in the journal, or a new one.

        None when it has to wait a little for judging time, or was stopped.
        """
        pending = self.state.gate.pending(self.state.progress.step)
        if pending is not None:
            return pending
        if not self.gate.affords():
            self._publish_again_at = time.monotonic() + JUDGE_AGAIN_S
            return None
        decided = self.gate.decide(self.state, occasion)
        observe_decision(self.metrics, decided, self.gate.purse)
        if not self._write_down(decided):
            return None
        num_due = len(self.state.rehearsal)
        carry_out(self.state, decided)
        if len(self.state.rehearsal) < num_due:
            self.metrics.due_retired.labels("budget").inc(num_due - len(self.state.rehearsal))
        return decided

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
