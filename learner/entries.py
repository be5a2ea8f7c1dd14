"""What the journal can say: one struct a kind, told apart by `kind`.

A new kind is a new struct in `Entry`; `resume.py` and `verify.py` pass over those that change no
state. Fields are only ever added, with a default: lines of a year ago are read again.
"""

import msgspec

from learner.actions import Action
from learner.arrival import Range
from learner.machine import Machine
from riverrun.records import LeftOut


class Learned(msgspec.Struct, frozen=True, tag="step", tag_field="kind", omit_defaults=True):
    """A step on new text (clean offsets of each partition) or, without ranges, on due documents.

    raw: first and last raw offset of each range. source: whose documents in the ranges these are,
    released from quarantine. rests: nothing was due after it. took_ms: what it took.
    """

    step: int
    ranges: list[Range] = []
    raw: list[tuple[int, int]] = []
    source: str | None = None
    rests: bool = False
    took_ms: int = 0


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


class Ability(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one probe group. passed: a `1` or `0` a task, what later runs are held against.

    latest: as of the last run. is_lost: they differ, for the worse, beyond chance; is_newly_lost:
    since this version. is_gained: for the better, since this version.
    """

    passed: str
    latest: str
    is_lost: bool = False
    is_newly_lost: bool = False
    is_gained: bool = False


class Decided(msgspec.Struct, frozen=True, tag="decided", tag_field="kind", omit_defaults=True):
    """What was decided on the state after `step`; a replay applies it and never judges anew.

    by: `gate`, or the id of an operator's command. numbers: what the decision rests on.
    reason: in words, what the audit log says. streaks, blamed, came: see `gate/record.py`.
    is_best: later versions are held against this one. abilities: probe groups that were run.
    best: of a roll back: the version that later ones are held against.
    """

    step: int
    actions: list[Action]
    numbers: dict[str, float] = {}
    reason: str = ""
    by: str = "gate"
    streaks: dict[str, int] = {}
    blamed: dict[str, str] = {}
    is_best: bool = False
    abilities: dict[str, Ability] = {}
    came: dict[str, int] = {}
    best: str | None = None

    @property
    def changed_abilities(self) -> list[str]:
        """Probe groups that came or went beyond chance with this version."""
        return sorted(
            name.partition(".")[2]
            for name, num in self.numbers.items()
            if name.startswith("gained.") and num > 0
        ) + sorted(group for group, ability in self.abilities.items() if ability.is_newly_lost)

    @property
    def verdict(self) -> str:
        """`promote`, `hold` or `roll_back`; empty when it is not about a version."""
        found = (a.kind for a in self.actions if a.kind in ("promote", "hold", "roll_back"))
        return next(found, "")


class Diverted(msgspec.Struct, frozen=True, tag="diverted", tag_field="kind"):
    """New text, all of it of sources in quarantine: no step."""

    ranges: list[Range]
    raw: list[tuple[int, int]] = []


class Entered(msgspec.Struct, frozen=True, tag="entered", tag_field="kind"):
    """Partitions that the run reads from here on, each with its first clean offset."""

    first_clean: dict[int, int]


class Passed(msgspec.Struct, frozen=True, tag="passed", tag_field="kind"):
    """Text that was undone is dealt with: marks and next clean offsets, by partition."""

    marks: dict[int, int]
    next_clean: dict[int, int]


class Quarantined(
    msgspec.Struct, frozen=True, tag="quarantined", tag_field="kind", omit_defaults=True
):
    """The text of `source` is diverted from here on. command: the operator's, if one asked."""

    source: str
    why: str = ""
    command: str | None = None


class Released(msgspec.Struct, frozen=True, tag="released", tag_field="kind", omit_defaults=True):
    """`source` is trusted again, and what was kept of it is learned from here on."""

    source: str
    command: str | None = None


class Emptied(msgspec.Struct, frozen=True, tag="emptied", tag_field="kind"):
    """Of what was kept of `source` in `partition`, one stretch has nothing more to learn."""

    source: str
    partition: int


class Undone(msgspec.Struct, frozen=True, tag="undone", tag_field="kind"):
    """A new line begins, in place of the run `replaces`: from here on these are left out."""

    left_out: list[LeftOut]
    replaces: str
    quarantine: list[str] = []


Entry = (
    Learned
    | Published
    | Announced
    | Started
    | Decided
    | Diverted
    | Entered
    | Passed
    | Quarantined
    | Released
    | Emptied
    | Undone
)
