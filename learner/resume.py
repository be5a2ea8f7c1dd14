"""Back to where the learner was: the newest checkpoint, then the journal's steps once more.

A step is a function of state, documents and seed, so doing it again gives the same bits; the
last published version's hash proves it each time. Called by `main.py` before anything is learned.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from learner.arrival import Arrival, Range
from learner.checkpoint import Checkpoints
from learner.identity import Identity
from learner.journal import Journal, Learned, Published
from learner.publish import hash_of_published, note
from learner.state import State
from learner.step import Stepper
from riverrun.metrics import LearnerMetrics

Refetch = Callable[[Sequence[Range], Mapping[int, int]], list[Arrival]]
"""The documents of these clean offsets, given the marks that held when they were taken."""

log = logging.getLogger(__name__)


def restore(state: State, checkpoints: Checkpoints, journal: Journal, identity: Identity) -> None:
    """Make `state` that of the newest whole checkpoint, if there is one."""
    if checkpoints.restore_newest(state, identity):
        log.info("restored the checkpoint of step %d", state.progress.step)
    # A kill between a checkpoint and the journal's new file: the old one ends with that step.
    journal.begin_file(state.progress.step)


def replay(
    state: State,
    journal: Journal,
    refetch: Refetch,
    stepper: Stepper,
    identity: Identity,
    metrics: LearnerMetrics,
    is_stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Do the journal's steps again; False when stopped before the end.

    Raises OffsetExpired when Kafka no longer holds their documents.
    """
    entries = list(journal.entries_from(state.progress.step))
    published = [entry for entry in entries if isinstance(entry, Published)]
    num_steps = 0
    for entry in entries:
        if isinstance(entry, Learned):
            arrivals = refetch(entry.ranges, state.progress.marks) if entry.ranges else []
            if stepper.step(state, arrivals, is_stopping=is_stopping) is None:
                return False
            metrics.replayed_steps.inc()
            num_steps += 1
        elif isinstance(entry, Published):
            if entry is published[-1]:
                _compare(state, entry, identity)
            note(state, entry)
    if num_steps:
        log.info("did %d journaled steps again, up to step %d", num_steps, state.progress.step)
    return True


def _compare(state: State, published: Published, identity: Identity) -> None:
    sha256 = hash_of_published(state, identity.recipe)
    if sha256 != published.sha256:
        log.warning(
            "the weights after step %d are not bit for bit those of %s: another processor, library "
            "or thread count? They are learned from the same text; new versions follow from them",
            published.step,
            published.version,
        )
