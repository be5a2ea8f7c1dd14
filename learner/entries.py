"""What the journal can say: one struct a kind, told apart by `kind`.

A new kind is a new struct in `Entry`; `resume.py` and `verify.py` pass over those that change no
state. Fields are only ever added, with a default: lines of a year ago are read again.
"""

import msgspec

from learner.actions import Action
from learner.arrival import Range
from learner.machine import Machine


class Learned(msgspec.Struct, frozen=True, tag="step", tag_field="kind", omit_defaults=True):
    """A step on new text (clean offsets of each partition) or, without ranges, on due documents."""

    step: int
    ranges: list[Range] = []


class Published(msgspec.Struct, frozen=True, tag="published", tag_field="kind"):
    """The weights after `step` are in the store as `version`."""

    step: int
    version: str
    sha256: str


class Announced(msgspec.Struct, frozen=True, tag="announced", tag_field="kind"):
    """Kafka has acknowledged the events of `version`."""

    version: str


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="kind"):
    """A learner's life begins: the steps from here on were done on `machine`, in this `term`."""

    machine: Machine
    term: int = 0


class Decided(msgspec.Struct, frozen=True, tag="decided", tag_field="kind", omit_defaults=True):
    """What was decided on the state after `step`; a replay applies it and never judges anew.

    by: `gate`, or the id of an operator's command. numbers: what the decision rests on.
    reason: in words, what the audit log says. streaks, blamed: see `gate/record.py`.
    is_best: later versions are held against this one.
    """

    step: int
    actions: list[Action]
    numbers: dict[str, float] = {}
    reason: str = ""
    by: str = "gate"
    streaks: dict[str, int] = {}
    blamed: dict[str, str] = {}
    is_best: bool = False


Entry = Learned | Published | Announced | Started | Decided
