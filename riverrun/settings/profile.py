"""Settings of a cleaning profile: which stages a record goes through, with which thresholds.

The profiles that come with riverrun are instances of this class (`stream/profiles.py`); an own one
names the profile that it is like and what differs. Every threshold has a value at which its rule is
off: 0 for a minimum, 1 for a largest share, 0 for a largest number.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from riverrun.settings.section import Section

ProfileName = Literal["text", "prose", "chat", "code", "logs", "web", "none"]

StageName = Literal[
    "repair",
    "markup",
    "normalize",
    "boilerplate",
    "repeats",
    "whitespace",
    "language",
    "quality",
    "repetition",
    "blocklist",
    "pii",
]

PiiKind = Literal["secret", "email", "iban", "card", "ip", "phone"]


class ProfileSettings(Section):
    """One cleaning profile, as `[stream.profiles.NAME]`; what is not set is as in `like`."""

    like: ProfileName = Field("text", description="The shipped profile that this one starts from.")
    stages: tuple[StageName, ...] = Field(
        ("repair", "markup", "normalize", "language", "pii"),
        description="What is done, in the order of this page whatever order is given: `repair` "
        "(wrong encodings), `markup`, `normalize`, `boilerplate`, `repeats`, `whitespace`, "
        "`language`, `quality`, `repetition`, `blocklist`, `pii`.",
    )
    assume_markup: Literal["none", "html", "markdown"] = Field(
        "none", description="What a record without a content type is written in."
    )
    max_line_repeats: int = Field(
        0,
        ge=0,
        le=1000,
        description="How often the same line of ten or more characters may stand in a text; more "
        "are taken out (`repeats`). 0: any number.",
    )
    max_lines_in_a_row: int = Field(
        0,
        ge=0,
        le=1000,
        description="How often the same line may follow itself; more are taken out (`repeats`). "
        "0: any number.",
    )
    languages: tuple[str, ...] = Field(
        (),
        description="ISO 639-1 codes that are let through; a text whose language is known and is "
        "none of them is rejected. Empty: all.",
    )
    language_min_letters: int = Field(
        30,
        ge=1,
        le=10_000,
        description="A text with fewer letters gets no guess: py3langid is wrong on one in five.",
    )
    language_min_probability: float = Field(
        0.9, ge=0, le=1, description="A guess less sure than this is none."
    )
    min_words: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Fewer words are rejected (Gopher: 50). Two characters count as a word in "
        "scripts without spaces.",
    )
    max_words: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="More words are rejected (Gopher: 100,000). 0: any number.",
    )
    min_mean_word_length: float = Field(
        0, ge=0, le=100, description="Characters (Gopher: 3). Not asked of scripts without spaces."
    )
    max_mean_word_length: float = Field(
        0,
        ge=0,
        le=1000,
        description="Characters (Gopher: 10; agglutinating languages and German need more). 0: "
        "any. Not asked of scripts without spaces.",
    )
    max_symbol_share: float = Field(
        1, ge=0, le=1, description="`#` or ellipses for each word (Gopher: 0.1)."
    )
    max_bullet_line_share: float = Field(
        1, ge=0, le=1, description="Lines that begin with a bullet or dash (Gopher: 0.9)."
    )
    max_ellipsis_line_share: float = Field(
        1, ge=0, le=1, description="Lines that end with an ellipsis (Gopher: 0.3)."
    )
    min_alphabetic_share: float = Field(
        0, ge=0, le=1, description="Words that hold a letter (Gopher: 0.8)."
    )
    min_stop_words: int = Field(
        0,
        ge=0,
        le=8,
        description="Different very frequent words (Gopher: 2, English). Asked only of texts "
        "whose language is known and is one whose stop words we have.",
    )
    min_ended_line_share: float = Field(
        0,
        ge=0,
        le=1,
        description="Lines that end with a punctuation mark (FineWeb: 0.12), of any script.",
    )
    max_short_line_share: float = Field(
        1, ge=0, le=1, description="Lines of at most 30 characters (FineWeb: 0.67)."
    )
    max_newlines_per_word: float = Field(1, ge=0, le=1, description="FineWeb: 0.3.")
    drop_lorem_ipsum: bool = Field(False, description="Reject filler text (C4).")
    drop_curly_braces: bool = Field(
        False, description="Reject text with a `{` (C4: such pages are code)."
    )
    max_duplicate_line_share: float = Field(
        1, ge=0, le=1, description="Lines that stood before in the same text (Gopher: 0.3)."
    )
    max_duplicate_line_characters: float = Field(
        1, ge=0, le=1, description="Share of characters in such lines (Gopher: 0.2; FineWeb: 0.01)."
    )
    max_top_ngram_share: float = Field(
        1,
        ge=0,
        le=1,
        description="Share of characters in the most frequent run of two words (Gopher: 0.2); of "
        "three and four it is 0.9 and 0.8 of that.",
    )
    max_duplicate_ngram_share: float = Field(
        1,
        ge=0,
        le=1,
        description="Share of words in runs of five words that stood before (Gopher: 0.15).",
    )
    blocklists: tuple[str, ...] = Field(
        (),
        description="Files with a word or phrase a line, `#` begins a comment; `builtin:profanity` "
        "is a short English list.",
    )
    blocked: Literal["mask", "drop"] = Field(
        "mask", description="What is done to a text with words of the block lists."
    )
    min_blocked: int = Field(
        1, ge=1, le=1000, description="So many different blocked words before anything is done."
    )
    pii: tuple[PiiKind, ...] = Field(
        ("secret", "email", "iban", "card", "phone"),
        description="Personal data that is looked for: `secret` (keys and tokens with known "
        "beginnings), `email`, `iban`, `card`, `ip` (public addresses), `phone`.",
    )
    pii_found: Literal["mask", "drop"] = Field(
        "mask", description="Replace what is found by its kind (`[EMAIL]`), or reject the text."
    )
    phone_region: str | None = Field(
        None,
        pattern="[A-Z]{2}",
        description="Country (`DE`, `US`) whose national numbers are found too; otherwise only "
        "those that begin with `+`.",
    )
    duplicates: Literal["off", "exact", "near"] = Field(
        "exact", description="Which repetitions of earlier texts are rejected."
    )
    duplicate_min_characters: int = Field(
        64,
        ge=0,
        le=100_000,
        description="A shorter text is never a duplicate: `ok` is said every day.",
    )


def merged(base: ProfileSettings, own: ProfileSettings) -> ProfileSettings:
    """`base` with what `own` sets."""
    return base.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def blocklist_path(name: str) -> Path | None:
    """The file of a block list; None for a built-in one."""
    return None if name.startswith("builtin:") else Path(name).expanduser()
