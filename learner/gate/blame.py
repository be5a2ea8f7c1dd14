"""Whose text may have done harm since the best version.

    drift, narrowing, non_finite    a finding named the source: it is to blame, before others
    new                             its first text came just before the best version, or since
    exploding                       the rate is to blame, and no source

Text makes the untouched model better, or at least it is no source's fault when it does not: as long
as nothing better is there, the rate is to blame.

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
    if named or best_step == 0:
        return named
    return sorted(subject for subject, kind in blamed.items() if kind == NEW)


def is_rate_to_blame(blamed: Mapping[str, str], best_step: int) -> bool:
    """Whether no text is to be left out."""
    if sources_to_blame(blamed, best_step):
        return False
    return best_step == 0 or RATE in blamed.values()
