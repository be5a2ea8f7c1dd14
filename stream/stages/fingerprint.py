"""What is compared to know whether a text was seen before: one hash of all, and bands of a MinHash.

Pure functions of the text. Which texts were seen, and for how long that is remembered, is not known
here. Two texts are exact duplicates when `exact` is equal, and near duplicates when any band is:
with 14 bands of 8 rows that happens to texts that share 80% of their shingles with probability
0.92, 70% with 0.56, 50% with 0.05.

Source: Broder 1997 (MinHash); bands and rows as FineWeb and datatrove have them. Shingles are three
words, not five, since our texts are shorter than web pages; five characters where words have no
spaces between them.
"""

import struct
from dataclasses import dataclass

import xxhash
from rensa import RMinHash

from stream.stages.words import is_unspaced

NUM_BANDS = 14
ROWS = 8
SEED = 7
"""Part of what a fingerprint is: kept fingerprints are worthless with another."""

MIN_SHINGLES = 24
"""A text with fewer has no bands: one changed word is a large part of it, and another message."""

NUM_WORDS = 3
NUM_CHARACTERS = 5

_ROWS = struct.Struct(f"={ROWS}I")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """exact: 64 bits. bands: `NUM_BANDS` hashes of 64 bits, which differ from band to band, so that
    one set can hold them all; empty for a text too short to be nearly another."""

    exact: int
    bands: tuple[int, ...]


def fingerprint(text: str) -> Fingerprint:
    """The text's fingerprint; case and the kind and number of spaces make no difference."""
    words = text.lower().split()
    return Fingerprint(exact_of(words), bands_of(words))


def exact_fingerprint(text: str) -> Fingerprint:
    """The same without bands, for who asks for exact duplicates only; a third of the time."""
    return Fingerprint(exact_of(text.lower().split()), ())


def exact_of(words: list[str]) -> int:
    return xxhash.xxh3_64_intdigest(" ".join(words).encode("utf-8", "replace"), SEED)


def bands_of(words: list[str]) -> tuple[int, ...]:
    """MinHash of the shingles, a hash for each band."""
    shingles = shingles_of(words)
    if len(shingles) < MIN_SHINGLES:
        return ()
    sketch = RMinHash(NUM_BANDS * ROWS, SEED)
    sketch.update(list(shingles))
    digest = sketch.digest()
    return tuple(
        xxhash.xxh3_64_intdigest(_ROWS.pack(*digest[band * ROWS : (band + 1) * ROWS]), band)
        for band in range(NUM_BANDS)
    )


def shingles_of(words: list[str]) -> set[str]:
    """Every run of three words, or of five characters of a text without spaces."""
    joined = " ".join(words)
    if is_unspaced(joined):
        last = len(joined) - NUM_CHARACTERS + 1
        return {joined[start : start + NUM_CHARACTERS] for start in range(last)}
    return set(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
