"""Words that an operator does not want: masked, or the text rejected.

A single word is looked up among the text's words, so that ten thousand cost what ten cost; phrases,
and words of scripts without spaces, are searched for. Called by the pipeline; which files are read
is the profile's affair.
"""

import functools
import re
from dataclasses import dataclass

from riverrun.errors import InvalidValue
from riverrun.settings.profile import ProfileSettings, blocklist_path
from stream.draft import Draft
from stream.rejected import Rejected
from stream.stages.profanity import PROFANITY
from stream.stages.words import UNSPACED

BUILTIN = {"builtin:profanity": PROFANITY}

WORD = re.compile(r"\w+(?:['’-]\w+)*")

MASK = "[…]"


@dataclass(frozen=True)
class Blocklist:
    """words: lower case, looked up whole. phrases: lower case, searched for."""

    words: frozenset[str]
    phrases: tuple[str, ...]


def refuse_blocked(draft: Draft, profile: ProfileSettings) -> Draft:
    """The draft without blocked words. Raises Rejected: blocked."""
    if not profile.blocklists:
        return draft
    found = blocked(draft.text, blocklist(profile.blocklists))
    if len(found) < profile.min_blocked:
        return draft
    if profile.blocked == "drop":
        shown = ", ".join(sorted(found)[:5])
        raise Rejected("blocked", f"{len(found)} blocked words: {shown}")
    return draft.with_text(_any_of(frozenset(found)).sub(MASK, draft.text))


def blocked(text: str, known: Blocklist) -> set[str]:
    """The blocked words and phrases that a text holds."""
    folded = text.lower()
    found = set(known.words.intersection(WORD.findall(folded))) if known.words else set()
    for phrase in known.phrases:
        # The first word is a fast test; what stands between the words, the pattern knows.
        if phrase.split()[0] in folded and _any_of(frozenset((phrase,))).search(text):
            found.add(phrase)
    return found


@functools.lru_cache(maxsize=64)
def blocklist(names: tuple[str, ...]) -> Blocklist:
    """The lists of these names as one. Raises InvalidValue for a file that cannot be read."""
    entries: set[str] = set()
    for name in names:
        entries.update(_entries(name))
    words = frozenset(
        entry for entry in entries if WORD.fullmatch(entry) and not UNSPACED.search(entry)
    )
    return Blocklist(words, tuple(sorted(entries - words)))


def _entries(name: str) -> set[str]:
    path = blocklist_path(name)
    if path is None:
        if name not in BUILTIN:
            raise InvalidValue("blocklists", name, f"a file, or {', '.join(BUILTIN)}")
        return set(BUILTIN[name])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue("blocklists", name, f"a UTF-8 file that can be read ({error})") from None
    stripped = (line.partition("#")[0].strip().lower() for line in lines)
    return {line for line in stripped if line}


@functools.lru_cache(maxsize=256)
def _any_of(entries: frozenset[str]) -> re.Pattern[str]:
    """Any of them, between the bounds of words; longer ones first. Any spaces between words."""
    longest_first = sorted(entries, key=lambda entry: (-len(entry), entry))
    return re.compile("|".join(map(_bounded, longest_first)), re.IGNORECASE)


def _bounded(entry: str) -> str:
    start = "" if UNSPACED.match(entry[0]) else r"(?<!\w)"
    end = "" if UNSPACED.match(entry[-1]) else r"(?!\w)"
    return start + r"\s+".join(map(re.escape, entry.split())) + end
