"""Sources as metric labels, a bounded number of them.

Any producer may name any source, and a key can be one: without a limit a topic keyed by user would
make a time series for each. Called by the worker.
"""

MAX_LABELS = 100
OTHER = "(other)"


class SourceLabels:
    """The first hundred sources keep their name; the others share one."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, source: str) -> str:
        if source not in self._known:
            if len(self._known) >= MAX_LABELS:
                return OTHER
            self._known.add(source)
        return source
