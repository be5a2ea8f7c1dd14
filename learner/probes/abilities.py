"""Whether an ability came or went, beyond chance.

McNemar's exact test: of the tasks whose outcome differs from what later runs are held against, each
would go either way with equal chance if nothing had changed; the binomial tail, two-sided, says how
rare the split is. Looking again and again would find something in the end, so look number k of a
group may err with chance ALPHA x 6 / (pi^2 k^2), which adds up to ALPHA over all looks for ever; a
run whose outcomes are those of the run before is no new look.

Source: McNemar, Note on the sampling error of the difference between correlated proportions, 1947;
alpha spending after Lan and DeMets, 1983.
"""

import math

from learner.entries import Ability

ALPHA = 0.05
"""Chance of one false event, of one group, in all its life."""


def look(before: Ability, latest: str) -> Ability:
    """The ability after a run with these outcomes. A gain becomes what later runs are held to."""
    if latest == before.latest:
        return Ability(before.passed, latest, before.num_looks, before.is_lost, False)
    num_looks = before.num_looks + 1
    lost, gained = changes(before.passed, latest)
    is_real = tail(lost, gained) < allowed(num_looks)
    if is_real and gained > lost:
        return Ability(latest, latest, num_looks)
    is_lost = is_real and lost > gained
    return Ability(before.passed, latest, num_looks, is_lost, is_lost and not before.is_lost)


def changes(before: str, now: str) -> tuple[int, int]:
    """Tasks lost and gained."""
    pairs = list(zip(before, now, strict=True))
    return pairs.count(("1", "0")), pairs.count(("0", "1"))


def tail(lost: int, gained: int) -> float:
    """Chance of a split at least as uneven, two-sided, when nothing has changed."""
    num, least = lost + gained, min(lost, gained)
    one_side: float = sum(math.comb(num, k) for k in range(least + 1)) / 2.0**num
    return min(1.0, 2 * one_side)


def allowed(num_looks: int) -> float:
    """What look number `num_looks` (from 1) may err."""
    return ALPHA * 6 / (math.pi**2 * num_looks**2)
