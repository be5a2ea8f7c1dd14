"""What the gate remembers from decision to decision: a part of the state.

It changes only by decisions and publications that stand in the journal, so a learner that was
killed and does its journal again remembers the same, although it judges nothing anew.

Knows nothing of rules or weights. Read by `gate.py`.
"""

from collections.abc import Sequence

import msgspec

from learner.entries import Ability, Decided, Published
from learner.part import Snapshot
from riverrun.errors import CheckpointError


class Facts(msgspec.Struct, kw_only=True):
    """best: the promoted version that later ones are held against; it was after `best_step`.

    streaks: by rule, for how many judged versions in a row its condition holds.
    last: the newest decision. blamed: sources that a finding named since the best, by kind.
    came: the step that saw the first text of each source that has just come.
    num_held: versions in a row that were not promoted. best_factor: of the rate, at the best.
    num_roll_backs: to the best.
    abilities: by probe group, see `probes/abilities.py`.
    """

    best: str | None = None
    best_step: int = 0
    streaks: dict[str, int] = {}
    last: Decided | None = None
    blamed: dict[str, str] = {}
    came: dict[str, int] = {}
    num_held: int = 0
    best_factor: float = 1.0
    num_roll_backs: int = 0
    abilities: dict[str, Ability] = {}


class Record:
    """See the module."""

    def __init__(self) -> None:
        self.facts = Facts()

    def decided(self, decided: Decided) -> None:
        """Take note of a decision of the gate."""
        facts = self.facts
        facts.last = decided
        facts.streaks = dict(decided.streaks)
        facts.blamed, facts.came = dict(decided.blamed), dict(decided.came)
        facts.num_held = 0 if decided.verdict == "promote" else facts.num_held + 1
        facts.abilities = facts.abilities | decided.abilities

    def published(self, published: Published) -> None:
        """The version that the last decision was about has its name now; the first is judged by
        nobody."""
        facts = self.facts
        last = facts.last
        if facts.best is None:
            facts.best, facts.best_step = published.version, published.step
        if last is not None and last.step == published.step and last.is_best:
            facts.best, facts.best_step = published.version, published.step
            facts.num_roll_backs = 0
            facts.best_factor = last.numbers.get("rate_factor", 1.0)

    def rolled_back(self, decided: Decided) -> None:
        """A new line begins: what came of the old one is forgotten, but for its best version."""
        facts = self.facts
        if decided.best is not None:
            facts.best, facts.best_step = decided.best, decided.step
        facts.num_roll_backs += 1
        facts.streaks, facts.blamed, facts.came, facts.num_held = {}, {}, {}, 0

    @property
    def stops_rehearsal(self) -> bool:
        """Until the next version is judged: what has become due since the last one waits."""
        last = self.facts.last
        return last is not None and any(a.kind == "stop_rehearsal" for a in last.actions)

    def pending(self, step: int) -> Decided | None:
        """The decision on the state after `step`, if it was made already."""
        last = self.facts.last
        return last if last is not None and last.step == step else None

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self.facts))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        try:
            self.facts = msgspec.json.decode(snapshots[-1].facts, type=Facts)
        except msgspec.DecodeError as error:
            raise CheckpointError(f"the gate's record: {error}") from error
