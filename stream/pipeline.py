"""The whole way from a raw record to a document, or to the reason why it is none.

No Kafka and no faust in it: the worker calls it, and so may a tool at the desk.
"""

from riverrun.records import Document, Reason, Rejection
from riverrun.settings import StreamSettings
from stream.raw_record import RawRecord
from stream.rejected import Rejected
from stream.stages.decode import MAX_SOURCE_CHARACTERS, Decoded, decode, without_surrogates
from stream.stages.normalize import normalize
from stream.stages.repair import repair
from stream.stages.timestamp import timestamp_of_header

HEAD_BYTES = 256
"""Of a rejected value this much is kept, to see what it was."""

MAX_DETAIL_CHARACTERS = 500


def clean(raw: RawRecord, settings: StreamSettings) -> Document | Rejection:
    """The document that a raw record holds, or why it holds none."""
    try:
        return document(raw, settings)
    except Rejected as rejected:
        return rejection(raw, rejected.reason, rejected.detail)


def document(raw: RawRecord, settings: StreamSettings) -> Document:
    """The document that a raw record holds. Raises Rejected."""
    if raw.value is None:
        raise Rejected("no_value", "the value is null (a tombstone)")
    _limit(len(raw.value), settings, "the value")
    decoded = decode(raw.value, raw.header("content-type"))
    text = normalize(repair(decoded.text))
    if not text or text.isspace():
        raise Rejected("empty", "no visible character is left")
    if not text.isascii():
        _limit(len(text.encode()), settings, "the normalized text")
    timestamp_ms = decoded.timestamp_ms
    if timestamp_ms is None:
        timestamp_ms = timestamp_of_header(raw.header("timestamp"))
    return Document(
        text=text,
        source=source_of(decoded, raw) or settings.default_source,
        timestamp_ms=max(0, raw.timestamp_ms) if timestamp_ms is None else timestamp_ms,
        id=decoded.id or raw.header("id"),
        language=decoded.language,
    )


def source_of(decoded: Decoded, raw: RawRecord) -> str | None:
    """Whom the text is from: the JSON field, else the header, else a key that can be a name."""
    if decoded.source is not None:
        return decoded.source
    named = raw.header("source")
    if named is None and raw.key is not None and len(raw.key) <= MAX_SOURCE_CHARACTERS:
        try:
            named = raw.key.decode().strip()
        except UnicodeDecodeError:
            return None
    if named and len(named) <= MAX_SOURCE_CHARACTERS and named.isprintable():
        return named
    return None


def rejection(raw: RawRecord, reason: Reason, detail: str) -> Rejection:
    """The dead letter of a raw record."""
    value = raw.value or b""
    return Rejection(
        reason=reason,
        detail=without_surrogates(detail[:MAX_DETAIL_CHARACTERS]),
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        num_bytes=len(value),
        head=value[:HEAD_BYTES],
        timestamp_ms=max(0, raw.timestamp_ms),
    )


def _limit(num_bytes: int, settings: StreamSettings, what: str) -> None:
    if num_bytes > settings.max_text_bytes:
        raise Rejected(
            "too_large",
            f"{what} has {num_bytes} bytes; stream.max_text_bytes is {settings.max_text_bytes}",
        )
