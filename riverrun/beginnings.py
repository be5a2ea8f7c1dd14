"""How long the common beginning of two sequences is. Knows nothing of tokens or texts."""

from collections.abc import Sequence
from typing import Any


def num_shared(one: Sequence[Any], other: Sequence[Any], limit: int | None = None) -> int:
    """How many first items are equal, of `limit` at most.

    By halving: comparing slices is cheap, a loop is not. Both are of one type, whose slices compare
    item by item (str, list, bytes).
    """
    low, high = 0, min(len(one), len(other))
    if limit is not None:
        high = min(high, limit)
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
