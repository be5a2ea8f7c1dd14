"""What the gate or an operator may do to the learner, as data, and how it changes the state.

An action is journaled before it is applied, and applied again when the journal is replayed; so
`apply` is a pure function of state and action. What concerns versions and the log (`promote`,
`hold`, `roll_back`) changes no state: `loop.py` and `start.py` carry it out.

Knows nothing of rules, versions or commands. Called by `gate/decisions.py`, the control topic and
`resume.py`.
"""

from typing import TYPE_CHECKING, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from learner.state import State

Kind = Literal[
    "promote",
    "hold",
    "roll_back",
    "lower_rate",
    "rewarm_rate",
    "reset_optimizer",
    "quarantine",
    "release",
    "stop_rehearsal",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """subject: a source, a version. numbers: by name; `factor` of `lower_rate`."""

    kind: Kind
    subject: str = ""
    numbers: dict[str, float] = {}


def apply(state: "State", action: Action) -> None:
    """Change `state` as `action` says; equal states become equal ones, bit for bit."""
    match action.kind:
        case "lower_rate":
            state.pace.lower(action.numbers["factor"])
        case "rewarm_rate":
            state.pace.rewarm(state.progress.num_updates)
        case "reset_optimizer":
            state.optimizer.forget_moments()
        case "stop_rehearsal":
            state.rehearsal.clear()
        case "quarantine":
            state.quarantine.add(action.subject, "by the gate's rules", state.progress.step)
        case "release":
            state.quarantine.release(action.subject)
        case "promote" | "hold" | "roll_back":
            pass
