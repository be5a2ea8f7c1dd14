"""What the journal can say: one struct a kind, told apart by `kind`.

A new kind is a new struct in `Entry`; `resume.py` and `verify.py` pass over those that change no
state. Fields are only ever added, with a default: lines of a year ago are read again.
"""

import msgspec

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


Entry = Learned | Published | Announced | Started
