"""One form for the same text: NFC, `\\n` line ends, no characters that nobody sees.

What carries meaning stays: tabs, joiners in Arabic, Indic and emoji sequences, the zero-width space
that ends words in Khmer, Thai, Lao, Myanmar and Tibetan, direction marks. Called by the pipeline.
"""

import re
import unicodedata

from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft

NEWLINE = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")

TAG_FLAG = "(?P<flag>\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)"
JOINED_SCRIPTS = (
    "\u0600-\u08ff\u0900-\u0dff\u0e00-\u109f\u1700-\u18af\u1900-\u1aaf\u1b00-\u1bff"
    "\ua800-\ua8ff\ua980-\ua9df\uaa00-\uaaff\uabc0-\uabff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
    "\U00011000-\U00011fff"
)
SYMBOLS = "\u2190-\u27bf\u2900-\u2bff\u3030\u303d\ufe0f\U0001f000-\U0001faff"
SPACED_SCRIPTS = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u1aaf\uaa60-\uaadf"

INVISIBLE = re.compile(
    f"{TAG_FLAG}"
    # Terminal colours; the sequence first, else its letters would stay behind.
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    "|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
    # Soft hyphen, Mongolian vowel separator, bidirectional overrides, word joiner and invisible
    # operators, byte order marks, interlinear annotation, noncharacters, tags.
    "|[\u00ad\u180e\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ufdd0-\ufdef\ufffe\uffff]"
    "|[\U000e0000-\U000e007f]"
    # Joiners, but where the script or the emoji needs them.
    f"|\u200c(?<![{JOINED_SCRIPTS}]\u200c)"
    f"|\u200d(?<![{JOINED_SCRIPTS}]\u200d)(?!(?<=[{SYMBOLS}]\u200d)[{SYMBOLS}])"
    f"|\u200b(?<![{SPACED_SCRIPTS}]\u200b)(?![{SPACED_SCRIPTS}])"
)

MAX_MARKS = 30
"""Combining marks in a row that are kept, the limit of Unicode's stream-safe format. No writing
needs as many; NFC sorts them, and takes time that is quadratic in their number."""


def _marks(end: int) -> str:
    """All combining marks below `end`, as the inside of a character class."""
    points = [point for point in range(end) if unicodedata.combining(chr(point))]
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


MARKS = _marks(0x20000)
TOO_MANY_MARKS = re.compile(f"([{MARKS}]{{{MAX_MARKS}}})[{MARKS}]+")

# Two searches that find nothing in nearly all text and cost 5 to 20 ns a character, before the
# exact ones, which cost 50 to 120. A class is fast when most of it lies below U+10000.
MAYBE_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200d\u202a-\u202e\u2060-\u206f"
    "\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
MAYBE_TOO_MANY_MARKS = re.compile(f"[{_marks(0x10000)}\U00010000-\U0001ffff]{{{MAX_MARKS + 1}}}")


def normalize(text: str) -> str:
    """The text in its one form. Idempotent; never longer than three times the text."""
    if has_other_newline(text):
        text = NEWLINE.sub("\n", text)
    if MAYBE_INVISIBLE.search(text):
        text = INVISIBLE.sub(lambda found: found["flag"] or "", text)
    if text.isascii():
        return text
    # Twice, since one mark may stand for two, which only NFC takes apart.
    return _limit_marks(unicodedata.normalize("NFC", _limit_marks(text)))


def has_other_newline(text: str) -> bool:
    if text.isascii():
        return "\r" in text or "\x0b" in text or "\x0c" in text
    return NEWLINE.search(text) is not None


def _limit_marks(text: str) -> str:
    if MAYBE_TOO_MANY_MARKS.search(text) is None:
        return text
    return TOO_MANY_MARKS.sub(r"\1", text)


def normalize_draft(draft: Draft, _: ProfileSettings) -> Draft:
    return draft.with_text(normalize(draft.text))
