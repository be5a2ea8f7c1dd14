"""Lines that a text says again and again: menus in a page, a log's heartbeat.

Takes out the repetitions and keeps the first ones; what is repetition by design (verse, tables,
code) is safe in profiles that leave the thresholds at 0. Never makes a text longer. Called by the
pipeline.
"""

from collections import defaultdict

from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft

MIN_LINE_CHARACTERS = 10
"""A shorter line (`}`, `---`, `Yes.`) may stand as often as it likes."""


def drop_repeats(draft: Draft, profile: ProfileSettings) -> Draft:
    """The text without the lines that stood too often before."""
    in_a_row, in_all = profile.max_lines_in_a_row, profile.max_line_repeats
    text = draft.text
    if not (in_a_row or in_all) or "\n" not in text:
        return draft
    lines = text.split("\n")
    if len(set(lines)) == len(lines):
        return draft
    kept = []
    counts: dict[str, int] = defaultdict(int)
    before, run = "", 0
    for line in lines:
        bare = line.strip()
        if len(bare) >= MIN_LINE_CHARACTERS and in_all:
            counts[bare] += 1
            if counts[bare] > in_all:
                continue
        # Compared with the last line that was kept, so that a second time changes nothing.
        run = run + 1 if bare == before else 1
        before = bare
        if bare and in_a_row and run > in_a_row:
            continue
        kept.append(line)
    return draft if len(kept) == len(lines) else draft.with_text("\n".join(kept))
