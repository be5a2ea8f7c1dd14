"""Whether an ability came or went, beyond chance.

McNemar's exact test: of the tasks whose outcome differs from what later runs are held against, each
would go either way with equal chance if nothing had changed; the binomial tail, two-sided, says how
rare the split is.

A learner looks for as long as it lives. A bound on what all looks together may err has to let each
one err less than the one before, until even the loss of a whole group is no evidence any more: of
twelve tasks from the eighth look on. So each look may err alike, and what is bounded is how often,
not whether ever.

After a gain the next run becomes what later ones are held against: the run that showed the gain was
the luckiest of many, and whatever comes after it would seem lost.

Source: McNemar, Note on the sampling error of the difference between correlated proportions, 1947.
"""

import math

from learner.entries import Ability

ALPHA = 0.01
"""Chance that a look finds an event although nothing has changed since the run that it is held
against. Eight tasks that are lost, and none gained, are one; seven are not."""


def look(before: Ability, latest: str) -> Ability:
    """The ability after a run with these outcomes."""
    lost, gained = changes(before.passed, latest)
    is_real = tail(lost, gained) < ALPHA
    if is_real and lost > gained:
        return Ability(before.passed, latest, is_lost=True, is_newly_lost=not before.is_lost)
    if before.is_gained:
        return Ability(latest, latest)
    return Ability(before.passed, latest, is_gained=is_real)


def changes(before: str, now: str) -> tuple[int, int]:
    """Tasks lost and gained."""
    pairs = list(zip(before, now, strict=True))
    return pairs.count(("1", "0")), pairs.count(("0", "1"))


def tail(lost: int, gained: int) -> float:
    """Chance of a split at least as uneven, two-sided, when nothing has changed."""
    num, least = lost + gained, min(lost, gained)
    one_side: float = sum(math.comb(num, k) for k in range(least + 1)) / 2.0**num
    return min(1.0, 2 * one_side)
