"""Looks at what a class knows, as a curve: one for its recipe, one for each other origin share.

Called by `facts.py` and `facts_bursts.py`, which decide when to look.
"""

from collections.abc import Callable, Sequence

import msgspec

from bench.classroom import Classroom
from bench.facts_asking import Examiner, Known
from bench.facts_files import Fact


class Look(msgspec.Struct, kw_only=True, rename={"num_pass": "pass"}):
    """What was known after a pass. missing: questions of facts that were not answered. held:
    versions so far that the gate did not promote. deferred: facts, general questions and control
    texts that the untouched model answered. wordings: of `num_wordings` of all facts."""

    num_pass: int
    steps: int
    seconds: float
    facts: int
    general: int
    control_ratio: float
    tokens: int
    due: int
    held: int = 0
    deferred: tuple[int, int, int] = (0, 0, 0)
    burst: int | None = None
    missing: list[str] = []
    wordings: int = 0
    num_wordings: int = 0


class Curves:
    """Asks the weights that would be served, and writes down each answer sheet once a step."""

    def __init__(
        self,
        name: str,
        one: Classroom,
        examiner: Examiner,
        facts: Sequence[Fact],
        shares: Sequence[float],
        curves: dict[str, list[Look]],
        tell: Callable[[str], None],
    ) -> None:
        self._class, self._examiner, self._facts, self._tell = one, examiner, facts, tell
        # Without a blend the recipe keeps no copy of the origin's weights.
        others = shares if one.recipe.origin_share else ()
        self._shares: dict[str, float | None] = {
            name: None,
            **{f"{name}@{share:g}": share for share in others},
        }
        self._curves = curves
        self._looked_at = -1
        self._last: dict[str, Known] = {}

    def look(self, burst: int | None = None) -> dict[str, Known]:
        """What is known by the name of each curve, the recipe's own first."""
        one = self._class
        step = one.state.progress.step
        if step == self._looked_at:
            return self._last
        self._last = {}
        for name, share in self._shares.items():
            known = self._examiner.examine(one.served(share))
            look = Look(
                num_pass=one.num_pass,
                steps=step,
                seconds=round(one.seconds, 1),
                facts=len(known.facts),
                general=len(known.general),
                control_ratio=known.control_ratio,
                tokens=one.num_tokens,
                due=len(one.state.rehearsal),
                held=one.num_held,
                deferred=known.deferred,
                burst=burst,
                missing=[f.question for i, f in enumerate(self._facts) if i not in known.facts],
                wordings=known.wordings,
                num_wordings=sum(len(fact.wordings) for fact in self._facts),
            )
            self._curves.setdefault(name, []).append(look)
            self._tell(line(name, look))
            self._last[name] = known
        self._looked_at = step
        return self._last


def line(name: str, look: Look) -> str:
    burst = "" if look.burst is None else f"burst {look.burst}, "
    reworded = f" ({look.wordings} of {look.num_wordings} in other words)"
    return (
        f"{name:16} {burst}pass {look.num_pass}, {look.steps} steps, {look.seconds:.0f} s: "
        f"facts {look.facts}{reworded if look.num_wordings else ''}, general {look.general}, "
        f"control x{look.control_ratio:.2f}, "
        f"{look.due} due" + (f", {look.held} versions held" if look.held else "")
    )
