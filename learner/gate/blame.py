"""Whose text may have done harm since the best version.

    drift, narrowing, non_finite    a finding named the source: it is to blame, before others
    exploding                       the rate is to blame, and no source
    new                             its first text came since the best version, and harm with it;
                                    only where there was a best one that had learned from others

Knows nothing of versions. Called by `gate.py` and `roll_back.py`.
"""

from collections.abc import Mapping

NAMING = ("drift", "narrowing", "non_finite")
"""Kinds of findings whose subject is a source."""
RATE = "exploding"
NEW = "new"


def sources_to_blame(blamed: Mapping[str, str], best_step: int) -> list[str]:
    """blamed: kinds by subject, since the best version; it was after `best_step`."""
    named = sorted(subject for subject, kind in blamed.items() if kind in NAMING)
    if named or is_rate_to_blame(blamed):
        return named
    if best_step == 0:
        return []
    return sorted(subject for subject, kind in blamed.items() if kind == NEW)


def is_rate_to_blame(blamed: Mapping[str, str]) -> bool:
    return RATE in blamed.values()
