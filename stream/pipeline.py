"""The whole way from a raw record to a document, or to the reason why it is none.

Decodes, chooses the profile by source or topic, and runs its stages. No Kafka and no faust in it:
the worker calls it, and so does `riverrun clean` at the desk, which watches every stage.
"""

import time
from collections.abc import Callable

from riverrun.metrics import StreamMetrics
from riverrun.records import Document, Message, Reason, Rejection, text_of
from riverrun.settings import StreamSettings
from riverrun.settings.profile import ProfileSettings, StageName
from stream.draft import Draft
from stream.profiles import Profile, Profiles, Stage
from stream.raw_record import RawRecord
from stream.rejected import Rejected
from stream.stages.content_type import check_encoding, read_content_type
from stream.stages.decode import MAX_SOURCE_CHARACTERS, Decoded, decode, without_surrogates
from stream.stages.fingerprint import Fingerprint, exact_fingerprint, fingerprint
from stream.stages.language import load_model
from stream.stages.markup import markup_of
from stream.stages.timestamp import timestamp_of_header

HEAD_BYTES = 256
"""Of a rejected value this much is kept, to see what it was."""

MAX_DETAIL_CHARACTERS = 500

TIMED_RECORDS = 16
"""One record in so many is timed stage by stage: two readings of the clock and an observation take
1 us for each of ten stages."""

JUDGES: frozenset[StageName] = frozenset(("language", "quality", "repetition"))
"""Stages that look at a conversation as one text: an answer of one word is no poor text. The others
change a text, and go through it message by message."""

Watch = Callable[[StageName, Draft, Draft], None]
"""Told of a stage's name and of the draft before and after it."""


class Pipeline:
    """Cleans the records of one process. Holds no state but counters."""

    def __init__(self, settings: StreamSettings, metrics: StreamMetrics | None = None) -> None:
        """Raises InvalidValue for a profile that is none, or a block list that cannot be read."""
        self.profiles = Profiles(settings)
        self._settings = settings
        self._stages = None if metrics is None else StageCounts(metrics)

    def load_models(self) -> None:
        """Load what some text will need, on any thread: else that text, and all behind it, wait."""
        if self.profiles.know_languages():
            load_model()

    def clean(self, raw: RawRecord, watch: Watch | None = None) -> Document | Rejection:
        """The document that a raw record holds, or why it holds none."""
        try:
            return self._document(raw, watch)
        except Rejected as rejected:
            return rejection(raw, rejected.reason, rejected.detail, rejected.source)

    def fingerprint(self, document: Document, topic: str) -> Fingerprint | None:
        """What to compare a document by; None when its profile lets repetitions of it through.

        Without bands when only exact repetitions are asked for, and for a conversation: many ask
        one long text different things. topic: the raw one.
        """
        thresholds = self.profiles.for_record(document.source, topic).thresholds
        too_short = len(document.text) < thresholds.duplicate_min_characters
        if thresholds.duplicates == "off" or too_short:
            return None
        is_near = thresholds.duplicates == "near" and document.messages is None
        of = fingerprint if is_near else exact_fingerprint
        return of(document.text)

    def _document(self, raw: RawRecord, watch: Watch | None) -> Document:
        settings = self._settings
        if raw.value is None:
            raise Rejected("no_value", "the value is null (a tombstone)")
        _limit(len(raw.value), settings, "the value")
        content_type = raw.header("content-type")
        check_encoding(raw.header("content-encoding"))
        decoded = decode(raw.value, content_type)
        source = source_of(decoded, raw) or settings.default_source
        try:
            return self._from_source(raw, decoded, source, content_type, watch)
        except Rejected as rejected:
            rejected.source = source
            raise

    def _from_source(
        self,
        raw: RawRecord,
        decoded: Decoded,
        source: str,
        content_type: str | None,
        watch: Watch | None,
    ) -> Document:
        settings = self._settings
        assert raw.value is not None, "it was decoded"
        timestamp_ms = decoded.timestamp_ms
        if timestamp_ms is None:
            timestamp_ms = timestamp_of_header(raw.header("timestamp"))
        if timestamp_ms is None:
            timestamp_ms = max(0, raw.timestamp_ms)
        elif timestamp_ms - settings.max_future_s * 1000 > raw.timestamp_ms > 0:
            ahead_s = (timestamp_ms - raw.timestamp_ms) / 1000
            raise Rejected(
                "future",
                f"the timestamp is {ahead_s:.0f} s after Kafka's; "
                f"stream.max_future_s is {settings.max_future_s:g}",
            )
        draft = Draft(
            decoded.text,
            markup_of(decoded.content_type or read_content_type(content_type).kind),
            decoded.language,
        )
        profile = self.profiles.for_record(source, raw.topic)
        messages = decoded.messages
        if messages is None:
            draft = self._run(draft, profile, watch)
        else:
            draft, messages = self._run_through(draft, messages, profile, watch)
            for message, name in zip(messages, decoded.names, strict=True):
                if not message.content or message.content.isspace():
                    raise Rejected("empty", f"{name}: no visible character is left")
        text = draft.text
        if not text or text.isspace():
            raise Rejected("empty", "no visible character is left")
        if not text.isascii() or len(text) > len(raw.value):
            _limit(len(text.encode()), settings, "the cleaned text")
        return Document(
            text=text,
            source=source,
            timestamp_ms=timestamp_ms,
            id=decoded.id or raw.header("id"),
            language=draft.language,
            messages=messages,
        )

    def _run_through(
        self,
        draft: Draft,
        messages: tuple[Message, ...],
        profile: Profile,
        watch: Watch | None,
    ) -> tuple[Draft, tuple[Message, ...]]:
        """A conversation through the same stages: `draft` is all of it, for those that judge."""
        turns = [Draft(message.content, draft.markup, draft.language) for message in messages]

        def rejoined(apply: Stage) -> Stage:
            def apply_to_each(whole: Draft, thresholds: ProfileSettings) -> Draft:
                turns[:] = [apply(turn, thresholds) for turn in turns]
                text = "\n\n".join(turn.text for turn in turns)
                return whole if text == whole.text else whole.with_text(text)

            return apply_to_each

        stages = tuple(
            (name, apply if judges(name, profile.thresholds) else rejoined(apply))
            for name, apply in profile.stages
        )
        draft = self._run(draft, Profile(profile.name, stages, profile.thresholds), watch)
        cleaned = tuple(Message(m.role, t.text) for m, t in zip(messages, turns, strict=True))
        return draft.with_text(text_of(cleaned)), cleaned

    def _run(self, draft: Draft, profile: Profile, watch: Watch | None) -> Draft:
        counts = self._stages
        if counts is not None and counts.is_timed():
            watch = counts.timed
            counts.start()
        for name, apply in profile.stages:
            before = draft
            draft = apply(draft, profile.thresholds)
            if watch is not None:
                watch(name, before, draft)
            if draft is not before and counts is not None and draft.text != before.text:
                counts.changed(name)
        return draft


def judges(name: StageName, thresholds: ProfileSettings) -> bool:
    return name in JUDGES or (name == "blocklist" and thresholds.blocked == "drop")


class StageCounts:
    """How long the stages take, by a sample, and how often each changed a text."""

    def __init__(self, metrics: StreamMetrics) -> None:
        self._seconds = metrics.stage_seconds
        self._changes = metrics.stage_changes
        self._num_records = 0
        self._started = 0.0

    def is_timed(self) -> bool:
        self._num_records += 1
        return self._num_records % TIMED_RECORDS == 1

    def start(self) -> None:
        self._started = time.perf_counter()

    def timed(self, name: StageName, _before: Draft, _after: Draft) -> None:
        now = time.perf_counter()
        self._seconds.labels(name).observe(now - self._started)
        self._started = time.perf_counter()

    def changed(self, name: StageName) -> None:
        self._changes.labels(name).inc()


def source_of(decoded: Decoded, raw: RawRecord) -> str | None:
    """Whom the text is from: the JSON field, else the header, else a key that can be a name."""
    if decoded.source is not None:
        return decoded.source
    named = raw.header("source")
    if named is None and raw.key is not None and len(raw.key) <= MAX_SOURCE_CHARACTERS:
        try:
            named = raw.key.decode().strip()
        except UnicodeDecodeError:
            return None
    if named and len(named) <= MAX_SOURCE_CHARACTERS and named.isprintable():
        return named
    return None


def rejection(raw: RawRecord, reason: Reason, detail: str, source: str | None = None) -> Rejection:
    """The dead letter of a raw record."""
    value = raw.value or b""
    return Rejection(
        reason=reason,
        detail=without_surrogates(detail[:MAX_DETAIL_CHARACTERS]),
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        num_bytes=len(value),
        head=value[:HEAD_BYTES],
        timestamp_ms=max(0, raw.timestamp_ms),
        source=source,
    )


def _limit(num_bytes: int, settings: StreamSettings, what: str) -> None:
    if num_bytes > settings.max_text_bytes:
        raise Rejected(
            "too_large",
            f"{what} has {num_bytes} bytes; stream.max_text_bytes is {settings.max_text_bytes}",
        )
