"""Bytes of a raw value to text, and to what a JSON record says about it.

Knows nothing of headers but the content type, and nothing of Kafka. Called by the pipeline.
"""

import codecs
import json
from dataclasses import dataclass
from typing import Any

from riverrun.records import Message, text_of
from stream.rejected import Rejected, bad_field
from stream.stages.content_type import JSON_TYPES, TEXT_TYPES, read_content_type
from stream.stages.conversation import is_supervised, read_conversation
from stream.stages.timestamp import timestamp_of_json

MAX_SOURCE_CHARACTERS = 200
"""A source is a name; it becomes the key of every clean record."""

MAX_ID_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text, and what its record says of itself. None: it does not say.

    messages: of a supervised record; `text` is then their contents. names: of the fields that these
    came from.
    """

    text: str
    source: str | None = None
    id: str | None = None
    timestamp_ms: int | None = None
    language: str | None = None
    content_type: str | None = None
    messages: tuple[Message, ...] | None = None
    names: tuple[str, ...] = ()


def decode(value: bytes, content_type: str | None) -> Decoded:
    """The text of a value: JSON when it is a JSON object, else plain.

    A value that begins with `{` and is no JSON object is plain text, since code looks like that;
    unless the producer says `application/json`. `text/plain`, `text/html` and other text types take
    even an object as plain text. A charset of the content type is asked only when the bytes are no
    UTF-8.
    Raises Rejected: not_utf8, bad_json, bad_field.
    """
    declared = read_content_type(content_type)
    kind = declared.kind
    text = _text(value, declared.charset)
    must_be_json = kind is not None and (kind in JSON_TYPES or kind.endswith("+json"))
    if kind is not None and not must_be_json:
        return Decoded(text)
    if not must_be_json and not text[:64].lstrip().startswith("{") and not _begins_object(text):
        return Decoded(text)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        if must_be_json:
            raise Rejected("bad_json", f"content-type is {kind}, but {error}") from None
        return Decoded(text)
    if not isinstance(fields, dict):
        raise Rejected("bad_json", f"wanted a JSON object, got {type(fields).__name__}")
    try:
        return _read(fields)
    except Rejected as rejected:
        rejected.source = _named_source(fields)
        raise


def _text(value: bytes, charset: str | None) -> str:
    """UTF-8 proves itself, so that it goes before what the producer says."""
    try:
        return value.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        if charset is None:
            at = f"byte {value[error.start]:#04x} at {error.start} ({error.reason})"
            raise Rejected("not_utf8", at) from None
    try:
        return value.decode(charset)
    except UnicodeDecodeError as error:
        at = f"neither UTF-8 nor the {charset} of the content type: byte {error.start}"
        raise Rejected("not_utf8", f"{at} ({error.reason})") from None


def _named_source(fields: dict[str, Any]) -> str | None:
    """Whom a record that is refused says that it is from: whose rejections they are."""
    try:
        return _name(fields, "source", MAX_SOURCE_CHARACTERS)
    except Rejected:
        return None


def _begins_object(text: str) -> bool:
    """For the rare text with much space before its first character."""
    return text[:1].isspace() and text.lstrip().startswith("{")


def _read(fields: dict[str, Any]) -> Decoded:
    messages: tuple[Message, ...] | None = None
    names: tuple[str, ...] = ()
    text = fields.get("text")
    if is_supervised(fields):
        messages, names = read_conversation(fields)
        messages = tuple(Message(m.role, without_surrogates(m.content)) for m in messages)
        text = text_of(messages)
    elif not isinstance(text, str):
        got = text if "text" in fields else "no such field"
        raise bad_field("text", got, "a string")
    return Decoded(
        text=without_surrogates(text),
        source=_name(fields, "source", MAX_SOURCE_CHARACTERS),
        id=_identity(fields),
        timestamp_ms=timestamp_of_json(fields.get("timestamp")),
        language=_name(fields, "language", 35),
        content_type=_text_type(fields),
        messages=messages,
        names=names,
    )


def _text_type(fields: dict[str, Any]) -> str | None:
    """What the `text` of a JSON record is written in: `content_type`, as `text/html`."""
    value = fields.get("content_type")
    if value is None:
        return None
    if not isinstance(value, str) or value.strip().lower() not in TEXT_TYPES:
        raise bad_field("content_type", value, ", ".join(sorted(TEXT_TYPES)))
    return value.strip().lower()


def _name(fields: dict[str, Any], field: str, max_characters: int) -> str | None:
    """A short string; null or the empty string says nothing."""
    value = fields.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > max_characters:
        raise bad_field(field, value, f"a string of at most {max_characters} characters")
    return without_surrogates(value).strip() or None


def _identity(fields: dict[str, Any]) -> str | None:
    """Many producers number their records, so that an integer will do."""
    value = fields.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _name(fields, "id", MAX_ID_CHARACTERS)


def without_surrogates(text: str) -> str:
    """JSON can name half a character (`\\ud800`), which no UTF-8 can carry: U+FFFD for it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
