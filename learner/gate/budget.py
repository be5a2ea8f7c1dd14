"""How much of the old knowledge that the operator lets go is gone: the knowledge budget.

Two losses are bounded (`gate.max_control_ratio`, `gate.min_general_share`); the budget is used up
by whichever is nearer to its bound. Of N general tasks, half a root of N may go by chance and count
as kept: a small update turns one answer or two, and others back. The rules slow learning, then stop
rehearsal, before all of it is used; what is served last lies within it.

Knows nothing of models. Called by `gate.py`.
"""

import math
from collections.abc import Mapping


def budget_used(
    numbers: Mapping[str, float], max_control_ratio: float, min_general_share: float
) -> float:
    """0: nothing was lost, that is known of; 1: as much as may be."""
    parts = [0.0]
    if (ratio := numbers.get("control_ratio")) is not None:
        parts.append((ratio - 1) / (max_control_ratio - 1))
    if (share := numbers.get("general_share")) is not None:
        num_tasks = numbers.get("general_tasks", math.inf)
        by_chance = 0.5 / math.sqrt(num_tasks)
        parts.append((1 - share - by_chance) / (1 - min_general_share))
    return max(parts)
