"""What came of a demo, as a value: the table, `--json` and the exit code are read off it."""

from collections.abc import Sequence

import msgspec

from riverrun.demo.ask import Reply, num_right
from riverrun.demo.questions import Fact


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, followed back to the text behind it."""

    question: str
    answer: str
    version: str
    step: int
    partition: int
    raw_offset: int
    document: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Before and after, and what happened to the users in between."""

    facts: Sequence[Fact]
    facts_before: Sequence[Reply]
    facts_after: Sequence[Reply]
    general_before: Sequence[Reply]
    general_after: Sequence[Reply]
    requests: int
    failed: int
    swaps: int
    seconds: float
    learning_seconds: float
    traced: Traced | None

    @property
    def learned(self) -> int:
        """Facts that are answered now and were not before."""
        pairs = zip(self.facts_before, self.facts_after, strict=True)
        return sum(after.is_right and not before.is_right for before, after in pairs)

    @property
    def is_good(self) -> bool:
        """At least half of the facts learned, and no request failed."""
        return 2 * self.learned >= len(self.facts) and self.failed == 0

    def summary(self) -> dict[str, int | float]:
        """What `--json` writes."""
        return {
            "facts": len(self.facts),
            "learned": self.learned,
            "general": len(self.general_before),
            "general_before": num_right(self.general_before),
            "general_after": num_right(self.general_after),
            "requests": self.requests,
            "failed": self.failed,
            "swaps": self.swaps,
            "seconds": round(self.seconds, 1),
        }
