"""From a decision to roll back to the intent that carries it out.

What was learned since the best version is learned again, without what is to blame:

    sources that are to blame (`blame.py`)   their documents since then are left out; of one that
                                             has just come all of them, for averaged weights show
                                             harm later than it is done
    the rate                                 nothing is; it is lower from there
    nobody                                   everything since then is left out

Going back to the same version a second time leaves everything out: whatever it was, it is in there.
Raw offsets that are left out stay on record in each later manifest, and are counted.

Knows nothing of how a new line is learned (`undo/new_line.py`). Called by `loop.py`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from learner.actions import Action
from learner.checkpoint import steps_in
from learner.entries import Decided
from learner.gate.blame import is_rate_to_blame, sources_to_blame
from learner.identity import Identity
from learner.journal_file import starts_in
from learner.left_out import merged
from learner.state import State
from learner.undo.intent import Intent
from riverrun.errors import CheckpointError
from riverrun.records import LeftOut, Span
from riverrun.store import VersionStore


class RollBack(NamedTuple):
    """to: the version that serving uses meanwhile: the best, or the promoted one where the best has
    no weights (undoing made an older one the best). num_documents: of the spans, at most so many
    are left out."""

    to: str
    intent: Intent
    num_documents: int


def roll_back(
    state: State, store: VersionStore, identity: Identity, decided: Decided, directory: Path
) -> RollBack:
    """After the version of `decided` was published. directory: the learner's.

    Raises CheckpointError when there is nothing to go back to.
    """
    facts = state.gate.facts
    to = facts.best if facts.best and store.has_weights(facts.best) else store.promoted()
    if to is None:
        raise CheckpointError("no version was promoted yet")
    sources = sources_to_blame(decided.blamed, facts.best_step)
    is_second = facts.num_roll_backs > 0 and facts.best_step > 0
    first_step = facts.best_step + 1
    if not is_second:
        came = min([first_step, *(decided.came.get(s, first_step) for s in sources)])
        first_step = came if reaches_back(directory, came) else first_step
    spans = [*spans_since(store, state.progress.version, first_step), *state.progress.pending]
    if sources and not is_second:
        left_out = merged(_range(span, source) for span in spans for source in sources)
    elif is_rate_to_blame(decided.blamed, facts.best_step) and not is_second:
        left_out = []
    else:
        left_out = merged(_range(span, span.only) for span in spans)
    if not reaches_back(directory, first_step):
        raise CheckpointError(
            f"no checkpoint from before step {first_step} is kept, and the journal begins later "
            f"(learner.checkpoint_ladder_s)"
        )
    intent = Intent(
        left_out=left_out,
        first_step=first_step,
        reason=decided.reason,
        replaces=identity.run,
        kind="rolled_back",
        subject=", ".join(sources),
        quarantine=[a.subject for a in decided.actions if a.kind == "quarantine"],
        actions=[] if left_out else rate_actions(state),
        best=to,
    )
    num_documents = sum(span.num_documents for span in spans) if left_out else 0
    return RollBack(to, intent, num_documents)


def rate_actions(state: State) -> list[Action]:
    """The rate of now, from the rate that the best version was learned with."""
    factor = state.pace.tempo.factor / state.gate.facts.best_factor
    return [Action(kind="lower_rate", numbers={"factor": factor})] if factor < 1 else []


def spans_since(store: VersionStore, newest: str | None, first_step: int) -> Iterator[Span]:
    """What was learned from `first_step` on, newest version first."""
    while newest is not None:
        manifest = store.manifest(newest)
        if manifest.step < first_step:
            return
        yield from (span for span in manifest.learned if span.step >= first_step)
        newest = manifest.parent


def reaches_back(directory: Path, first_step: int) -> bool:
    """Whether some state from before `first_step` can be had."""
    starts = starts_in(directory / "journal")
    steps = steps_in(directory / "checkpoints")
    return starts[:1] == [0] or any(s < first_step and s in starts for s in steps)


def _range(span: Span, source: str | None) -> LeftOut:
    return LeftOut(
        partition=span.partition, first=span.raw_first, last=span.raw_last, source=source
    )
