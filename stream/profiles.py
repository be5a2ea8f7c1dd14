"""The profiles that come with riverrun, own ones, and which of them a record goes through.

A profile is its stages, in their one order, and its thresholds (`ProfileSettings`). Called by the
pipeline; `riverrun clean` shows them.
"""

import fnmatch
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from riverrun.errors import InvalidValue
from riverrun.settings import StreamSettings
from riverrun.settings.profile import ProfileSettings, StageName, merged
from stream.draft import Draft
from stream.stages.blocklist import blocklist, refuse_blocked
from stream.stages.boilerplate import drop_boilerplate
from stream.stages.language import know_language
from stream.stages.markup import plain_text
from stream.stages.normalize import normalize_draft
from stream.stages.pii import hide_personal_data
from stream.stages.quality import refuse_low_quality
from stream.stages.repair import repair_draft
from stream.stages.repeats import drop_repeats
from stream.stages.repetition import refuse_repetition
from stream.stages.whitespace import tidy_whitespace

Stage = Callable[[Draft, ProfileSettings], Draft]

STAGES: Mapping[StageName, Stage] = {
    "repair": repair_draft,
    # Before normalization, which sees what entities stood for.
    "markup": plain_text,
    "normalize": normalize_draft,
    "boilerplate": drop_boilerplate,
    "repeats": drop_repeats,
    "whitespace": tidy_whitespace,
    "language": know_language,
    # After language, whose stop words it asks for; before what is dearer.
    "quality": refuse_low_quality,
    "repetition": refuse_repetition,
    "blocklist": refuse_blocked,
    # Last: what it masks no rule should count.
    "pii": hide_personal_data,
}
"""In the order in which they run. Each is pure: the same draft and thresholds, the same result."""

_PROSE = ProfileSettings(
    like="prose",
    stages=tuple(STAGES),
    max_line_repeats=2,
    max_lines_in_a_row=1,
    min_words=8,
    max_words=100_000,
    min_mean_word_length=2.5,
    max_mean_word_length=14,
    max_symbol_share=0.1,
    max_bullet_line_share=0.9,
    max_ellipsis_line_share=0.3,
    min_alphabetic_share=0.7,
    min_stop_words=2,
    drop_lorem_ipsum=True,
    max_duplicate_line_share=0.3,
    max_duplicate_line_characters=0.2,
    max_top_ngram_share=0.2,
    max_duplicate_ngram_share=0.3,
    pii=("secret", "email", "iban", "card", "ip", "phone"),
    duplicates="near",
)

SHIPPED: Mapping[str, ProfileSettings] = {
    "text": ProfileSettings(like="text"),
    "prose": _PROSE,
    "chat": ProfileSettings(
        like="chat",
        pii=("secret", "email", "iban", "card", "ip", "phone"),
        duplicates="off",
    ),
    "code": ProfileSettings(like="code", stages=("repair", "normalize", "pii"), pii=("secret",)),
    "logs": ProfileSettings(
        like="logs",
        stages=("repair", "normalize", "repeats", "pii"),
        max_lines_in_a_row=1,
        pii=("secret", "email", "iban", "card", "ip", "phone"),
        duplicates="off",
    ),
    "web": merged(
        _PROSE,
        ProfileSettings(
            like="web",
            min_words=50,
            max_mean_word_length=12,
            min_alphabetic_share=0.8,
            min_ended_line_share=0.12,
            max_short_line_share=0.67,
            max_newlines_per_word=0.3,
            drop_curly_braces=True,
            max_duplicate_ngram_share=0.15,
            blocklists=("builtin:profanity",),
            blocked="drop",
            min_blocked=3,
        ),
    ),
    "none": ProfileSettings(like="none", stages=(), pii=(), duplicates="off"),
}
"""`text` rejects nothing that is text, and is the default. The thresholds of `prose` are Gopher's,
with a smaller least length, since a record is shorter than a page, and wider bounds where other
languages than English need them; `web` adds those of C4 and FineWeb."""


@dataclass(frozen=True, slots=True)
class Profile:
    """stages: by name, those that it runs, in order."""

    name: str
    stages: tuple[tuple[StageName, Stage], ...]
    thresholds: ProfileSettings


class Profiles:
    """Every profile of some settings, and the choice between them."""

    def __init__(self, settings: StreamSettings) -> None:
        """Raises InvalidValue for a name that is no profile, and a block list that is no file."""
        self._by_name = {name: compiled(name, shipped) for name, shipped in SHIPPED.items()}
        for name, own in settings.profiles.items():
            self._by_name[name] = compiled(name, merged(SHIPPED[own.like], own))
        self.default = self.named(settings.profile, "stream.profile")
        self._by_source = self._patterns(settings.profile_by_source, "stream.profile_by_source")
        self._by_topic = self._patterns(settings.profile_by_topic, "stream.profile_by_topic")
        self.for_record = functools.lru_cache(maxsize=4096)(self._for_record)

    def chosen(self) -> tuple["Profile", ...]:
        """Those that records may go through."""
        return (self.default, *self._by_source.values(), *self._by_topic.values())

    def compare_texts(self) -> bool:
        """Whether any of them asks for repetitions."""
        return any(profile.thresholds.duplicates != "off" for profile in self.chosen())

    def know_languages(self) -> bool:
        """Whether any of them asks for the language."""
        return any(name == "language" for profile in self.chosen() for name, _ in profile.stages)

    def named(self, name: str, field: str) -> Profile:
        if name not in self._by_name:
            raise InvalidValue(field, name, f"a profile: {', '.join(sorted(self._by_name))}")
        return self._by_name[name]

    def _patterns(self, patterns: Mapping[str, str], field: str) -> dict[str, Profile]:
        return {
            pattern: self.named(name, f"{field}.{pattern}") for pattern, name in patterns.items()
        }

    def _for_record(self, source: str, topic: str) -> Profile:
        """The profile of a record: by source, by topic, else the default one."""
        return (
            _first_fit(self._by_source, source) or _first_fit(self._by_topic, topic) or self.default
        )


def compiled(name: str, thresholds: ProfileSettings) -> Profile:
    """The profile, its block lists read."""
    blocklist(thresholds.blocklists)
    chosen = thresholds.stages
    stages = tuple((stage, apply) for stage, apply in STAGES.items() if stage in chosen)
    return Profile(name, stages, thresholds)


def _first_fit(patterns: Mapping[str, Profile], name: str) -> Profile | None:
    if name in patterns:
        return patterns[name]
    for pattern, profile in patterns.items():
        if fnmatch.fnmatchcase(name, pattern):
            return profile
    return None
