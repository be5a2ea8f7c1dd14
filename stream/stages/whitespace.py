"""Spaces that say nothing: at the ends of lines and of the text, in a row, empty lines in a row.

For prose; code, tables and logs keep theirs, since their profiles leave this stage out. Never makes
a text longer. Called by the pipeline.
"""

import re

from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft

RUN = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
LINE_END = re.compile(" +\n *|\n +")
EMPTY_LINES = re.compile("\n{3,}")


def tidy_whitespace(draft: Draft, _: ProfileSettings) -> Draft:
    """One space between words, at most one empty line, none at the ends."""
    return draft.with_text(tidy(draft.text))


def tidy(text: str) -> str:
    if not text.isascii() or "  " in text or "\t" in text:
        text = RUN.sub(" ", text)
    if " \n" in text or "\n " in text:
        text = LINE_END.sub("\n", text)
    if "\n\n\n" in text:
        text = EMPTY_LINES.sub("\n\n", text)
    return text.strip()
