"""A record of the raw topic, as it lies in Kafka.

Knows nothing of faust or of any other client: whoever reads raw records, the worker or a desk tool,
makes these and hands them to `stream.pipeline`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record and its coordinates."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """A header as text, without outer spaces; None when it is not there, empty or not UTF-8."""
        try:
            return self.headers.get(name, b"").decode().strip() or None
        except UnicodeDecodeError:
            return None
