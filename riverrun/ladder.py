"""Which old ones to keep when not all can be: some of each age, ever fewer.

Time is cut into slots of a period's length (an hour, a day), aligned to the clock. Of each period
the first one of the current slot and of the slot before is kept. So whatever was made continuously
has one whose age is between one period and two, for each period; and at most twice as many as
there are periods are kept. What a slot will want later is kept from its making on, so pruning at
any moments, or never, gives the same.

Knows nothing of what is kept. Called by the store for versions, by the learner for checkpoints.
"""

from collections.abc import Sequence


def rungs(times_s: Sequence[float], now_s: float, periods_s: Sequence[float]) -> set[int]:
    """The indices in `times_s` (seconds since 1970, in any order) of those to keep."""
    kept = set()
    order = sorted(range(len(times_s)), key=lambda i: times_s[i])
    for period_s in periods_s:
        current = int(now_s // period_s)
        first: dict[int, int] = {}
        for i in order:
            first.setdefault(int(times_s[i] // period_s), i)
        kept |= {first[slot] for slot in (current - 1, current) if slot in first}
    return kept
