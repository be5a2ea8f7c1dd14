"""What a record says of its own time, as milliseconds since 1970 in UTC.

A time without a zone is taken as UTC. Called by decode (JSON) and the pipeline (header).
"""

import re
from datetime import UTC, datetime

from stream.rejected import bad_field

WANTED = "ISO 8601, or seconds or milliseconds since 1970"

MILLISECONDS_FROM = 100_000_000_000
"""A number from here on counts milliseconds: as seconds it would lie in the year 5138, as
milliseconds in 1973."""

LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that a datetime can name."""

NUMBER = re.compile(r"\d{9,15}(\.\d{1,9})?")


def timestamp_of_json(value: object) -> int | None:
    """The `timestamp` field of a JSON record; None when it has none. Raises Rejected."""
    if value is None:
        return None
    if isinstance(value, str):
        moment = _iso(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        moment = _epoch(value)
    else:
        moment = None
    if moment is None:
        raise bad_field("timestamp", value, WANTED)
    return moment


def timestamp_of_header(value: str | None) -> int | None:
    """The `timestamp` header, in which a number is text too. Raises Rejected."""
    if value is None:
        return None
    moment = _epoch(float(value)) if NUMBER.fullmatch(value) else _iso(value)
    if moment is None:
        raise bad_field("header timestamp", value, WANTED)
    return moment


def _epoch(number: float) -> int | None:
    if not 0 <= number <= LAST_MS:
        return None
    return int(number if number >= MILLISECONDS_FROM else round(number * 1000))


def _iso(value: str) -> int | None:
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)
    return milliseconds if 0 <= milliseconds <= LAST_MS else None
