"""Back to where the learner was: the newest checkpoint, then the journal's steps once more.

A step is a function of state, documents and seed, so doing it again gives the same bits; the
last published version's hash proves it each time. Called by `start.py` before anything is learned.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from learner.checkpoint import Checkpoints
from learner.entries import Entered
from learner.identity import Identity
from learner.journal import Journal, Learned, Published, Started
from learner.machine import Machine, differences, this_machine
from learner.publish import hash_of_published
from learner.redo import Refetch, redo
from learner.state import State
from learner.step import Stepper
from riverrun.errors import CheckpointError
from riverrun.metrics import LearnerMetrics

log = logging.getLogger(__name__)


def restore(
    state: State, checkpoints: Checkpoints, journal: Journal, identity: Identity
) -> Machine | None:
    """Make `state` that of the newest whole checkpoint, if there is one; gives its machine."""
    head = checkpoints.restore_newest(state, identity)
    if head is None:
        return None
    log.info("restored the checkpoint of step %d", state.progress.step)
    # Of a journal that was lost: what follows belongs to this checkpoint.
    journal.begin_file(state.progress.step)
    return head.machine


def replay(
    state: State,
    journal: Journal,
    refetch: Refetch,
    stepper: Stepper,
    identity: Identity,
    metrics: LearnerMetrics,
    is_stopping: Callable[[], bool] = lambda: False,
    machine: Machine | None = None,
    *,
    must_be_identical: bool = False,
) -> bool:
    """Do the journal's steps again; False when stopped before the end.

    machine: where the checkpoint was made.
    Raises OffsetExpired when Kafka no longer holds their documents; CheckpointError when the bits
    are others than those published and they `must_be_identical`.
    """
    entries = list(journal.entries_from(state.progress.step))
    published = [entry for entry in entries if isinstance(entry, Published)]
    here = this_machine(state.model.output_matrix.device)
    changed: list[str] = []
    num_steps = 0
    for entry in entries:
        if isinstance(entry, Started):
            machine = entry.machine
        elif isinstance(entry, Learned):
            changed = changed or (differences(machine, here) if machine else [])
        elif isinstance(entry, Published) and entry is published[-1]:
            _compare(state, entry, identity, changed, must_be_identical=must_be_identical)
        if not redo(state, entry, stepper, refetch, is_stopping):
            return False
        if isinstance(entry, Learned):
            metrics.replayed_steps.inc()
            num_steps += 1
    if num_steps:
        log.info("did %d journaled steps again, up to step %d", num_steps, state.progress.step)
    return True


def enter(
    state: State,
    journal: Journal,
    partitions: Iterable[int],
    oldest: Callable[[Iterable[int]], dict[int, int]],
) -> None:
    """Let the run know each of `partitions`, and where its text begins, from now on.

    A new run begins with what Kafka still has (`oldest`). One that goes on has missed nothing of a
    partition that is new since: all of it counts, and what has expired is not passed over silently.
    """
    known = state.progress.next_clean
    unknown = [partition for partition in partitions if partition not in known]
    if not unknown:
        return
    entered = Entered(dict.fromkeys(unknown, 0) if known else oldest(unknown))
    journal.append(entered)
    journal.sync()
    known.update(entered.first_clean)


def _compare(
    state: State,
    published: Published,
    identity: Identity,
    changed: Sequence[str],
    *,
    must_be_identical: bool,
) -> None:
    if hash_of_published(state, identity.recipe) == published.sha256:
        return
    why = "; ".join(changed) or "machine, torch and threads are the same: was riverrun changed?"
    told = (
        f"the weights after step {published.step} are not bit for bit those of "
        f"{published.version} ({why})"
    )
    if must_be_identical:
        raise CheckpointError(
            f"{told}. Go back to what it was there (learner.num_threads, the machine, the release "
            f"of torch), or set learner.require_identical = false to go on from these weights, "
            f"which learned the same text."
        )
    log.warning(
        "%s. They learned the same text; new versions follow from them. To get the same bits, stop "
        "now and go back to what it was there; learner.require_identical = true refuses instead",
        told,
    )
