"""A decision becomes history: applied when it is made, and again when the journal is replayed.

Called by `loop.py`, and by `resume.py` and `verify.py`, which judge nothing.
"""

from learner.actions import apply
from learner.entries import Decided
from learner.state import State


def carry_out(state: State, decided: Decided) -> None:
    """Change `state` as was decided. After the decision is in the journal, never before."""
    for action in decided.actions:
        apply(state, action)
    if decided.by == GATE:
        state.gate.decided(decided)
    elif decided.by == ROLLED_BACK:
        state.gate.rolled_back(decided)


GATE = "gate"
ROLLED_BACK = "rolled_back"
"""As an intent calls it (`undo/intent.py`)."""
