"""When a version is made of the state, and what the decision on it sets in motion.

A version follows each new text at once while nothing waits; while text waits, versions take a share
of the time; rehearsal alone has them seldom. The gate's decision is journaled before the version
may be seen, and a version that is worse than what is served begins another history.

Knows nothing of what a step is or where text comes from. Called by `loop.py`.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from learner.control.control import Control
from learner.gate.decisions import carry_out
from learner.gate.gate import Gate
from learner.gate.roll_back import roll_back
from learner.guard import Guard
from learner.identity import Identity
from learner.journal import Decided, Journal
from learner.lesson import Work
from learner.observe import observe_decision
from learner.publish import Publisher
from learner.recipe import Rhythm
from learner.restart import Restart
from learner.state import State
from learner.undo.intent import write_intent
from learner.write_down import RETRY_S, write_down
from riverrun.errors import CheckpointError, StoreError
from riverrun.metrics import LearnerMetrics

JUDGE_AGAIN_S = 0.02
"""Pause before it is looked again whether there is judging time."""

log = logging.getLogger(__name__)


@dataclass
class Promotion:
    """See the module. `begin`, `after_step` and `publish` raise Restart.

    directory: the learner's, where an intent to roll back is written.
    """

    state: State
    gate: Gate
    publisher: Publisher
    journal: Journal
    identity: Identity
    rhythm: Rhythm
    metrics: LearnerMetrics
    directory: Path
    stop: threading.Event
    guard: Guard
    control: Control | None

    def __post_init__(self) -> None:
        self._published_at = -float("inf")
        self._publishing_s = 0.0
        self._publish_again_at = 0.0
        self._step_metrics: dict[str, float] = {}

    @property
    def has_unpublished(self) -> bool:
        progress = self.state.progress
        # A new line has a version of its own, even if an older one has the same weights.
        is_of_this_line = progress.version is None or self.identity.made(progress.version)
        return progress.step > progress.version_step or not is_of_this_line

    @property
    def can_publish(self) -> bool:
        return self.has_unpublished and self.wait_s == 0

    @property
    def wait_s(self) -> float:
        """Until a version that failed, or could not be judged, may be tried again."""
        return max(0.0, self._publish_again_at - time.monotonic())

    def begin(self) -> None:
        """The first version of a start: what a kill left undone, or the new line's own.

        A kill may have come between a version and its line in the journal. Its weights are the
        ones at hand: published again, they are the same version, and no version stays unknown.
        """
        pending = self.state.gate.pending(self.state.progress.step)
        if pending is not None and pending.verdict == "roll_back" and not self.has_unpublished:
            # A kill came between its version and the intent.
            self._roll_back(pending)
        self.publish((self.control and self.control.reason) or "resumed")

    def after_step(self, work: Work, numbers: Mapping[str, float], *, text_waits: bool) -> None:
        """A version, if it is time for one. numbers: the step's, by metric, for the manifest."""
        # Rehearsal has no prequential loss: the last new text's stays the news.
        self._step_metrics.update(numbers)
        if time.monotonic() - self._published_at >= self._interval_s(work, text_waits):
            self.publish("new text" if work == "new" else "rehearsal")

    def _interval_s(self, work: Work, text_waits: bool) -> float:
        if work == "rehearsal":
            return self.rhythm.rehearsal_interval_s
        if not text_waits:
            return self.rhythm.publish_interval_s
        paid_s = self._publishing_s / self.rhythm.publishing_share - self._publishing_s
        return max(self.rhythm.publish_interval_s, paid_s)

    def publish(self, reason: str) -> None:
        """Judge and publish what has no version yet, if that can be done now."""
        if not self.can_publish:
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
            return
        log.log(
            logging.INFO if manifest.decision == "promote" else logging.WARNING,
            "version %s: %s (%s)",
            manifest.version,
            manifest.decision,
            manifest.reason,
        )
        if manifest.decision == "promote":
            self.gate.took_over(self.state, decided)
        self._published_at = time.monotonic()
        self._publishing_s = self._published_at - began
        if manifest.decision == "roll_back":
            self._roll_back(decided)

    def _roll_back(self, decided: Decided) -> None:
        """Serving goes back at once, and the learner begins anew from there.

        Raises Restart. Where nothing can be gone back to, the version is only held.
        """
        store = self.publisher.store
        try:
            found = roll_back(self.state, store, self.identity, decided, self.directory)
            if self.control is None or not self.control.is_held:
                store.promote(found.to)
        except (CheckpointError, StoreError) as error:
            self.metrics.gate.decisions.labels("roll_back_failed").inc()
            log.error("nothing can be rolled back, the version is held: %s", error)
            return
        self.metrics.gate.rolled_back_documents.inc(found.num_documents)
        log.error("rolled back to %s: %s", found.to, decided.reason)
        if self.control is not None:
            self.control.tell_undone()
        write_intent(self.directory, found.intent, self.guard)
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
        observe_decision(self.metrics.gate, decided, self.gate.purse)
        if not write_down(self.journal, decided, self.stop):
            return None
        num_due = len(self.state.rehearsal)
        carry_out(self.state, decided)
        if len(self.state.rehearsal) < num_due:
            self.metrics.due_retired.labels("budget").inc(num_due - len(self.state.rehearsal))
        return decided
