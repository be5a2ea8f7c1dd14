"""What the header `content-type` says: the kind of text, and its charset.

Called by decode and the pipeline.
"""

import functools
import re
from dataclasses import dataclass

from stream.rejected import bad_field

TEXT_TYPES = frozenset(
    ("text/html", "application/xhtml+xml", "text/markdown", "text/x-markdown", "text/plain")
)
"""Content types of a text that is no JSON; the `text` of a JSON record may be in one as well."""

JSON_TYPES = frozenset(("application/json", "text/json", "application/x-ndjson"))

UNTYPED = frozenset(("application/octet-stream", "binary/octet-stream"))
"""What a client writes that knows nothing: looked at like a record without a content type."""

UTF_8 = re.compile("utf-?8|(us-)?ascii")

CHARSETS = re.compile(
    "latin-?1|iso-8859-([1-9]|1[0-6])|windows-125[0-8]|cp125[0-8]|utf-16(le|be)?|koi8-[ru]|shift_jis"
    "|euc-jp|euc-kr|gb2312|gbk|gb18030|big5"
)


@dataclass(frozen=True, slots=True)
class ContentType:
    """kind: `text/html`, in lower case; None when nothing is said. charset: None is UTF-8."""

    kind: str | None = None
    charset: str | None = None


@functools.lru_cache(maxsize=256)
def read_content_type(header: str | None) -> ContentType:
    """What a header says. Raises Rejected (bad_field) for what can be no text."""
    if header is None:
        return ContentType()
    kind, _, parameters = header.partition(";")
    kind = kind.strip().lower()
    if kind in UNTYPED:
        return ContentType()
    known = kind in TEXT_TYPES or kind in JSON_TYPES
    if not known and not kind.startswith("text/") and not kind.endswith("+json"):
        wanted = f"text/…, {', '.join(sorted(JSON_TYPES))}"
        raise bad_field("header content-type", header, wanted)
    return ContentType(kind, _charset(parameters, header))


def _charset(parameters: str, header: str) -> str | None:
    for parameter in parameters.split(";"):
        name, equals, value = parameter.partition("=")
        if not equals or name.strip().lower() != "charset":
            continue
        charset = value.strip().strip("\"'").lower()
        if UTF_8.fullmatch(charset):
            return None
        if not CHARSETS.fullmatch(charset):
            raise bad_field("header content-type", header, "charset=utf-8, or one that is known")
        # As browsers do: what calls itself Latin-1 was written on Windows.
        return "windows-1252" if charset in ("latin1", "latin-1", "iso-8859-1") else charset
    return None


def check_encoding(header: str | None) -> None:
    """The header `content-encoding`. Raises Rejected (bad_field) for a value that is compressed:
    Kafka compresses batches by itself."""
    if header is not None and header.lower() != "identity":
        wanted = "identity; leave compression to Kafka's `compression.type`"
        raise bad_field("header content-encoding", header, wanted)
