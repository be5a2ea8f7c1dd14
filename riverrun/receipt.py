"""Where records are, once Kafka has acknowledged them.

Given by `riverrun/produce.py`; a client hands it back to wait until its text is learned.
"""

import time
from dataclasses import dataclass, field

from riverrun.errors import InvalidValue


@dataclass(slots=True)
class Acknowledged:
    """The offsets of one partition that hold our records, both ends included.

    Other producers' records may lie between them: `num_records` counts ours.
    """

    first: int
    last: int
    num_records: int


@dataclass(slots=True)
class Receipt:
    """What Kafka has acknowledged. `acked_at`: when it did last, seconds since 1970."""

    topic: str
    partitions: dict[int, Acknowledged] = field(default_factory=dict)
    acked_at: float | None = None

    @property
    def num_records(self) -> int:
        return sum(acknowledged.num_records for acknowledged in self.partitions.values())

    @property
    def offsets(self) -> dict[int, int]:
        """Per partition the last offset: what weights that know all of it have learned."""
        return {partition: at.last for partition, at in self.partitions.items()}

    @property
    def partition(self) -> int:
        """Of a single record. Raises InvalidValue for more than one, or none."""
        self._require_one()
        return next(iter(self.partitions))

    @property
    def offset(self) -> int:
        """Of a single record. Raises InvalidValue for more than one, or none."""
        self._require_one()
        return next(iter(self.partitions.values())).last

    def add(self, partition: int, offset: int) -> None:
        seen = self.partitions.get(partition)
        if seen is None:
            self.partitions[partition] = Acknowledged(offset, offset, 1)
        else:
            seen.first = min(seen.first, offset)
            seen.last = max(seen.last, offset)
            seen.num_records += 1
        self.acked_at = time.time()

    def _require_one(self) -> None:
        if self.num_records != 1:
            raise InvalidValue("receipt", f"{self.num_records} records", "a receipt of one record")
