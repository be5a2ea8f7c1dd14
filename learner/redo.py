"""The journal's entries done again, each on the state that it was written on.

One place for all who do: the restart (`resume.py`), the comparison (`verify.py`) and, entry by
entry, the undoing (`undo/new_line.py`). A kind of entry that changes the state is known here.

Knows nothing of files. See `entries.py` for what the kinds mean.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from learner.arrival import Arrival, Range
from learner.entries import (
    Decided,
    Diverted,
    Emptied,
    Entered,
    Entry,
    Learned,
    Passed,
    Published,
    Quarantined,
    Released,
    Undone,
)
from learner.gate.decisions import carry_out
from learner.publish import note
from learner.state import State
from learner.step import Stepper, pass_over


class Refetch(Protocol):
    """Text again, out of Kafka: `Intake.refetch`."""

    def __call__(
        self, ranges: Sequence[Range], marks: Mapping[int, int], source: str | None = None
    ) -> list[Arrival]:
        """The documents of these clean offsets, given the marks that held when they were taken."""
        ...


def redo(
    state: State,
    entry: Entry,
    stepper: Stepper,
    refetch: Refetch,
    is_stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Do `entry` again; False, with the state as it was, when stopped meanwhile.

    Raises OffsetExpired when Kafka no longer holds the documents.
    """
    match entry:
        case Learned():
            arrivals = documents_of(state, entry, refetch)
            report = stepper.step(state, arrivals, released=entry.source, is_stopping=is_stopping)
            return report is not None
        case Published():
            note(state, entry)
        case Decided():
            carry_out(state, entry)
        case Diverted():
            divert(state, refetch(entry.ranges, state.progress.marks))
        case Entered():
            state.progress.next_clean.update(entry.first_clean)
        case Passed():
            state.progress.marks.update(entry.marks)
            state.progress.next_clean.update(entry.next_clean)
        case Quarantined():
            state.quarantine.add(entry.source, entry.why, state.progress.step)
        case Released():
            state.quarantine.release(entry.source)
        case Emptied():
            state.quarantine.end(entry.source, entry.partition)
        case Undone():
            begin_line(state, entry)
    return True


def documents_of(state: State, entry: Learned, refetch: Refetch) -> list[Arrival]:
    """What the step was done on; nothing for a rehearsal."""
    if not entry.ranges:
        return []
    if entry.source is None:
        return refetch(entry.ranges, state.progress.marks)
    # They lie below the marks, and the range begins with one that was no repetition.
    return refetch(entry.ranges, {}, entry.source)


def divert(state: State, arrivals: Sequence[Arrival]) -> None:
    """New text, all of it of sources in quarantine."""
    pass_over(state, arrivals)
    state.quarantine.keep(arrivals)


def begin_line(state: State, undone: Undone) -> None:
    """From here on the state is the new line's."""
    state.left_out.add(undone.left_out)
    for source in undone.quarantine:
        state.quarantine.add(source, "undone", state.progress.step)
