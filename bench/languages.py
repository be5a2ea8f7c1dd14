"""A stream whose language changes, cut into records, with the end of each language held out.

The file is JSON lines with `text` and `source` (the language), languages one after the other.
Called by `retention.py`.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from riverrun.errors import InvalidValue

FIELD = "--data"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "manpages.jsonl.gz"
HELD_OUT_BYTES = 20_000
RECORD_BYTES = 500
"""Of a record at most: in blocks of 256 byte tokens, two."""


class Language(NamedTuple):
    """records: what is learned, in order. held_out: its last text, never learned."""

    name: str
    records: list[str]
    held_out: list[str]


def languages(path: Path | None, max_bytes: int | None = None) -> list[Language]:
    """The languages of the file in the order of their first lines, of each at most `max_bytes`.

    Raises InvalidValue for a file that is not there or not such lines.
    """
    if path is None:
        path = DATA
    if not path.exists():
        allowed = "a file of JSON lines with `text` and `source`; the default one is not here"
        raise InvalidValue(FIELD, str(path), allowed)
    texts: dict[str, list[str]] = {}
    for name, text in _lines(path):
        texts.setdefault(name, []).append(text)
    if not texts:
        raise InvalidValue(FIELD, str(path), "at least one line with `text` and `source`")
    return [_language(name, "\n\n".join(of_it), max_bytes) for name, of_it in texts.items()]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                yield str(record["source"]), str(record["text"])
            except (ValueError, KeyError, TypeError) as error:
                allowed = "JSON lines with `text` and `source`"
                raise InvalidValue(FIELD, f"{path}, line {number}", allowed) from error


def _language(name: str, text: str, max_bytes: int | None) -> Language:
    whole = text.encode()
    if len(whole) < 2 * HELD_OUT_BYTES:
        allowed = f"at least {2 * HELD_OUT_BYTES:,} bytes of each language"
        raise InvalidValue(FIELD, f"{len(whole):,} bytes of {name}", allowed)
    learned = whole[: min(len(whole) - HELD_OUT_BYTES, max_bytes or len(whole))]
    return Language(
        name,
        records(learned.decode(errors="ignore")),
        records(whole[-HELD_OUT_BYTES:].decode(errors="ignore")),
    )


def records(text: str) -> list[str]:
    """The text in pieces of at most RECORD_BYTES, cut at line ends; nothing is left out."""
    pieces: list[str] = []
    piece, filled = "", 0
    for whole_line in text.splitlines(keepends=True):
        # A character is four bytes at most.
        for line in _pieces(whole_line, RECORD_BYTES // 4):
            length = len(line.encode())
            if piece and filled + length > RECORD_BYTES:
                pieces.append(piece)
                piece, filled = "", 0
            piece += line
            filled += length
    return [*pieces, piece] if piece else pieces


def _pieces(line: str, num_characters: int) -> Iterator[str]:
    for start in range(0, len(line), num_characters):
        yield line[start : start + num_characters]
