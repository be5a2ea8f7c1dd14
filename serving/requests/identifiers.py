"""Names that callers give: of requests, of feedback, of commands, of versions.

They end up in logs, metadata and Kafka keys, so they are short and plain. Called by
`serving/interceptor.py` and the other requests.
"""

import re

from riverrun.errors import InvalidValue

MAX_CHARACTERS = 128
_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def identifier(field: str, value: str) -> str:
    """`value`, if it may be an id.

    Raises:
        InvalidValue: empty, too long, or another character.
    """
    if not _PLAIN.fullmatch(value):
        raise InvalidValue(field, value, f"1 to {MAX_CHARACTERS} of A-Z a-z 0-9 . _ : -")
    return value


def version_name(field: str, value: str) -> str:
    """A version's id, which is also a directory's name: never a path."""
    return identifier(field, value)


def bounded_text(field: str, value: str, max_bytes: int, min_bytes: int = 0) -> str:
    """`value`, if it has so many bytes of UTF-8.

    Raises:
        InvalidValue: shorter or longer.
    """
    num_bytes = len(value.encode())
    if num_bytes < min_bytes:
        raise InvalidValue(field, value, f"at least {min_bytes} byte{'s' * (min_bytes > 1)}")
    if num_bytes > max_bytes:
        raise InvalidValue(field, f"{num_bytes} bytes", f"at most {max_bytes} bytes")
    return value
