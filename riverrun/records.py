"""What the topics carry, typed. Bytes become these structs at the edge and nowhere else.

Called by the stream (raw in, documents and rejections out), the learner (documents in, version
events out), serving (feedback out) and the command line.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

RAW_OFFSET_HEADER = "raw-offset"
"""Header of a clean record: the raw offset it came from, decimal ASCII. The raw partition is the
clean record's own partition."""

RAW_TIMESTAMP_HEADER = "raw-timestamp"
"""Header of a clean record: Kafka's timestamp of the raw record, ms since 1970, decimal ASCII."""


RAW_FORMS = (("text",), ("messages",), ("prompt", "completion"))
"""What a raw JSON record may hold: the fields of exactly one of these."""

Role = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Role
    content: str


class Document(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A cleaned text. `timestamp_ms` is the record's own time, else Kafka's.

    messages: of a supervised record: a conversation that ends with the assistant's answer, of which
    only what the assistant says is learned. `text` is then their contents (`text_of`), for whoever
    reads texts and no conversations.
    """

    text: str
    source: str
    timestamp_ms: int
    id: str | None = None
    language: str | None = None
    messages: tuple[Message, ...] | None = None


def text_of(messages: Iterable[Message]) -> str:
    """What a conversation says, whoever says it: the contents, with a blank line between."""
    return "\n\n".join(message.content for message in messages)


Reason = Literal[
    "not_utf8",
    "empty",
    "too_large",
    "bad_json",
    "bad_field",
    "no_value",
    "failed",
    "duplicate",
    "near_duplicate",
    "paused",
    "resumed",
    "sent_back",
    "future",
    "language",
    "too_few_words",
    "too_many_words",
    "word_length",
    "symbols",
    "few_letters",
    "few_stop_words",
    "unlike_prose",
    "filler",
    "repeated_lines",
    "repeated_words",
    "blocked",
    "personal_data",
]
"""Why a raw record is no document. `paused`: its source was, it is kept back and may be sent again.
`resumed` is the mark that ends a pause, and `sent_back` the note that a dead letter of the same
coordinates was written to `raw` again: neither has lost any text."""

RESUME_HEADER = "riverrun-resume"
"""Header of a raw record that ends the pause of the source it names, `*` for all of its partition:
the mark lies in the log, so that whoever reads the partition resumes at the same record."""

RESENT_HEADER = "resent-from"
"""Header of a raw record that was a dead letter: `partition:offset` of the first one."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a raw record did not become a document. `head` is its first bytes, base64 in JSON;
    `source` is whom it is from, as far as that could be read."""

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    num_bytes: int
    head: bytes
    timestamp_ms: int
    source: str | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Documents of one partition that one step learned: both ends are included.

    Offsets between the ends whose record was no document, or was dropped as a repetition, belong
    to no step; `num_documents` counts what was learned.
    held_out: raw offsets of documents in the span that were kept apart and never trained on.
    without: sources in quarantine, whose documents in the span were not learned.
    only: the source that was released from quarantine; no other documents in the span are meant.
    """

    step: int
    partition: int
    raw_first: int
    raw_last: int
    clean_first: int
    clean_last: int
    num_documents: int
    held_out: list[int] = []
    without: list[str] = []
    only: str | None = None


class LeftOut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Raw offsets of one partition, both ends included, that a line of weights never learns from:
    they were undone. source: only this source's records among them.
    """

    partition: int
    first: int
    last: int
    source: str | None = None

    def takes(self, partition: int, raw_offset: int, source: str) -> bool:
        """Whether the record at `raw_offset` is left out."""
        return (
            partition == self.partition
            and self.first <= raw_offset <= self.last
            and self.source in (None, source)
        )


VersionEventKind = Literal[
    "published",
    "promoted",
    "held",
    "rolled_back",
    "rate_lowered",
    "rate_rewarmed",
    "optimizer_reset",
    "rehearsal_stopped",
    "quarantined",
    "source_released",
    "undone",
    "paused",
    "resumed",
    "drift",
    "health",
    "ability",
    "refused",
]


class VersionEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the public audit log (`versions`, compacted by `key`).

    command: id of the operator's command that this answers. subject: what else it is about (a
    source, a range, a probe). replaces: the run whose line of versions this one takes over.
    """

    kind: VersionEventKind
    version: str
    parent: str | None
    step: int
    reason: str
    at_ms: int
    offsets: dict[int, int]
    metrics: dict[str, float]
    command: str | None = None
    subject: str | None = None
    replaces: str | None = None

    @property
    def key(self) -> str:
        """Of its record: the log keeps the newest of each, so what happened besides needs its own.

        A version's own key has what became of it; answers have their command's.
        """
        if self.command is not None:
            return f"command:{self.command}"
        if self.kind in OUTCOMES and self.subject is None and self.replaces is None:
            return self.version
        return f"{self.version}:{self.kind}:{self.subject or ''}"


OUTCOMES: frozenset[VersionEventKind] = frozenset({"published", "promoted", "held", "rolled_back"})
"""What becomes of a version, each in place of the one before."""


def encode(record: msgspec.Struct) -> bytes:
    """JSON bytes of a record."""
    return msgspec.json.encode(record)
