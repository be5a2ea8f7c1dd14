"""R[i,j]: the loss on bucket j after the stream had gone through bucket i, of each source.

While a source is in bucket i, each measurement of its bucket j overwrites R[i,j]; so what remains
is the loss at the end of bucket i. A source that comes back to an old bucket overwrites that row
again. All in bits a byte, so lower is better; transfers are turned so that more is better:

    backward   mean over j of R[j,j] - R[now,j]: what later text did to earlier buckets
    forward    mean over j of (what the blind n-gram baseline pays for j) - R[<j,j]: what earlier
               text did for a bucket that was not yet learned. R[<j,j] is the first measurement,
               when its first held-out text had just come.

When a source's buckets double their width, rows and columns merge: columns by mean, rows by taking
the later one.

Source: Lopez-Paz and Ranzato, Gradient Episodic Memory, 2017, section 2 (there accuracies, and a
random model as the reference of forward transfer).

Knows nothing of models. Called by `retention.py`.
"""

from collections.abc import Iterator
from statistics import fmean

import msgspec


class Table(msgspec.Struct, kw_only=True):
    """One source. rows: by i, then j. first: by j, of the model and of the baseline."""

    level: int = 0
    now: int = 0
    rows: dict[int, dict[int, float]] = msgspec.field(default_factory=dict)
    first: dict[int, tuple[float, float]] = msgspec.field(default_factory=dict)

    def widen(self, level: int) -> None:
        """Be of buckets that are 2^(level - own level) times as wide."""
        shift = level - self.level
        if shift <= 0:
            return
        rows: dict[int, dict[int, list[float]]] = {}
        for i, row in sorted(self.rows.items()):
            wide: dict[int, list[float]] = {}
            for j, bits in row.items():
                wide.setdefault(j >> shift, []).append(bits)
            rows[i >> shift] = {**rows.get(i >> shift, {}), **wide}
        self.rows = {i: {j: fmean(bits) for j, bits in row.items()} for i, row in rows.items()}
        # Of merged buckets, the first measurement of the first one came before both were learned.
        self.first = {j >> shift: both for j, both in sorted(self.first.items(), reverse=True)}
        self.now >>= shift
        self.level = level

    def record(self, now: int, bucket: int, bits: float) -> None:
        self.now = now
        self.rows.setdefault(now, {})[bucket] = bits

    def keep_only(self, buckets: set[int]) -> None:
        """Columns whose text is gone go too."""
        self.rows = {
            i: kept
            for i, row in self.rows.items()
            if (kept := {j: bits for j, bits in row.items() if j in buckets})
        }
        self.first = {j: both for j, both in self.first.items() if j in buckets}

    def backward(self) -> list[float]:
        """Of each older bucket that was measured in its own time and later."""
        found = []
        for j in self.rows:
            later = [i for i in self.rows if i != j and j in self.rows[i]]
            own = self.rows[j].get(j)
            if own is not None and later and j != self.now:
                last = self.now if self.now in later else max(later)
                found.append(own - self.rows[last][j])
        return found

    def forward(self) -> list[float]:
        return [baseline - bits for bits, baseline in self.first.values()]


class RetentionMatrix(msgspec.Struct, kw_only=True):
    """All sources."""

    tables: dict[str, Table] = msgspec.field(default_factory=dict)

    def cells(self) -> Iterator[tuple[str, int, int, float]]:
        """Source, i, j and R[i,j]."""
        for source, table in self.tables.items():
            for i, row in table.rows.items():
                for j, bits in row.items():
                    yield source, i, j, bits

    def backward_transfer(self) -> float | None:
        """Mean over all; None before there is any."""
        return _mean([x for table in self.tables.values() for x in table.backward()])

    def forward_transfer(self) -> float | None:
        return _mean([x for table in self.tables.values() for x in table.forward()])


def _mean(numbers: list[float]) -> float | None:
    return fmean(numbers) if numbers else None
