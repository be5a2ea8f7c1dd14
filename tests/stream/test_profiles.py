from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from riverrun.errors import InvalidValue
from riverrun.metrics import StreamMetrics
from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from riverrun.settings.load import load_settings
from riverrun.settings.profile import ProfileSettings
from stream.pipeline import Pipeline
from stream.profiles import SHIPPED, STAGES, Profiles
from stream.raw_record import RawRecord

NOW_MS = 1_790_000_000_000


def cleaned(
    text: str, settings: StreamSettings, source: str = "", **headers: str
) -> Document | Rejection:
    given = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
    record = RawRecord("raw", 0, 0, NOW_MS, source.encode() or None, text.encode(), given)
    return Pipeline(settings).clean(record)


def test_an_exact_source_goes_before_a_pattern_a_source_before_a_topic() -> None:
    profiles = Profiles(
        StreamSettings(
            profile_by_source={"forum-*": "chat", "forum-code": "code"},
            profile_by_topic={"raw-logs": "logs"},
        )
    )
    assert profiles.for_record("forum-code", "raw-logs").name == "code"
    assert profiles.for_record("forum-tea", "raw-logs").name == "chat"
    assert profiles.for_record("other", "raw-logs").name == "logs"
    assert profiles.for_record("other", "raw").name == "text"


def test_an_own_profile_differs_from_the_one_it_is_like_only_in_what_it_sets(
    tmp_path: Path,
) -> None:
    (tmp_path / "riverrun.toml").write_text(
        '[stream]\nprofile = "mine"\n[stream.profiles.mine]\nlike = "prose"\nmin_words = 3\n'
    )
    stream = load_settings(tmp_path).stream
    mine = Profiles(stream).default.thresholds
    assert mine == SHIPPED["prose"].model_copy(update={"min_words": 3})
    assert isinstance(cleaned("It was the only one that they had.", stream), Document)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("min_wrods = 3", "stream.profiles.mine.min_wrods: no such setting; did you mean"),
        ("min_words = -1", "stream.profiles.mine.min_words: -1 is not allowed; it takes a whole"),
        ('like = "best"', "stream.profiles.mine.like: 'best' is not allowed; it takes `text`"),
    ],
)
def test_a_wrong_own_profile_is_refused_by_name(toml: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "riverrun.toml").write_text(f"[stream.profiles.mine]\n{toml}\n")
    with pytest.raises(InvalidValue) as refused:
        load_settings(tmp_path)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (StreamSettings(profile="best"), "stream.profile"),
        (StreamSettings(profile_by_source={"a": "best"}), "stream.profile_by_source.a"),
        (
            StreamSettings(profiles={"a": ProfileSettings(blocklists=("/nowhere/list",))}),
            "blocklists",
        ),
    ],
)
def test_what_no_profile_can_be_made_of_is_refused_at_the_start(
    settings: StreamSettings, field: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        Pipeline(settings)
    assert str(refused.value).startswith(f"{field}: ")


def test_none_leaves_the_text_as_it_came() -> None:
    text = "  a\u200b  b\r\n mail jane@river.example.org  "
    result = cleaned(text, StreamSettings(profile="none"))
    assert isinstance(result, Document)
    assert result.text == text


def test_operators_words_are_masked_or_the_text_rejected(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("# ours\nheron\nold mill\n磨坊\n")
    own = ProfileSettings(stages=("blocklist",), blocklists=(str(words),))
    masking = StreamSettings(profile="own", profiles={"own": own})
    result = cleaned("A Heron at the old  mill, not herons. 老磨坊", masking)
    assert isinstance(result, Document)
    assert result.text == "A […] at the […], not herons. 老[…]"
    dropping = own.model_copy(update={"blocked": "drop", "min_blocked": 2})
    settings = StreamSettings(profile="own", profiles={"own": dropping})
    assert isinstance(cleaned("a heron", settings), Document)
    rejected = cleaned("a heron at the old mill", settings)
    assert isinstance(rejected, Rejection)
    assert (rejected.reason, rejected.detail) == ("blocked", "2 blocked words: heron, old mill")


def test_a_language_that_is_not_wanted_is_rejected_and_one_that_is_not_known_is_not() -> None:
    own = ProfileSettings(stages=("language",), languages=("de",))
    settings = StreamSettings(profile="own", profiles={"own": own})
    rejected = cleaned(
        "The river has risen and nobody in the village was surprised by that.", settings
    )
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "language"
    assert isinstance(cleaned("ok!", settings), Document)


def test_personal_data_can_reject_instead() -> None:
    own = ProfileSettings(stages=("pii",), pii_found="drop")
    settings = StreamSettings(profile="own", profiles={"own": own})
    rejected = cleaned("write to jane@river.example.org", settings)
    assert isinstance(rejected, Rejection)
    assert (rejected.reason, rejected.detail) == ("personal_data", "found: email")


def test_national_phone_numbers_are_found_with_a_region() -> None:
    own = ProfileSettings(stages=("pii",), phone_region="US")
    settings = StreamSettings(profile="own", profiles={"own": own})
    result = cleaned("call (212) 555-2368 on 2026-03-01 at 12:30", settings)
    assert isinstance(result, Document)
    assert result.text == "call [PHONE] on 2026-03-01 at 12:30"


def test_fingerprints_are_asked_for_by_profile_and_length() -> None:
    pipeline = Pipeline(StreamSettings(profile_by_source={"p": "prose", "c": "chat"}))
    long = "the river has risen by two hands and nobody in the village was surprised " * 9

    def bands(source: str, text: str) -> int | None:
        document = Document(text=text, source=source, timestamp_ms=0)
        found = pipeline.fingerprint(document, "raw")
        return None if found is None else len(found.bands)

    varied = " ".join(f"word{number}" for number in range(60))
    assert (bands("p", varied), bands("x", varied), bands("c", varied)) == (14, 0, None)
    assert bands("p", long[:50]) is None


def test_stages_are_timed_by_sample_and_their_changes_counted() -> None:
    registry = CollectorRegistry()
    pipeline = Pipeline(StreamSettings(), StreamMetrics(registry))
    for number in range(32):
        pipeline.clean(RawRecord("raw", 0, number, NOW_MS, None, b"mail a@river.example.org"))
    changes = registry.get_sample_value("riverrun_stream_stage_changes_total", {"stage": "pii"})
    timed = registry.get_sample_value("riverrun_stream_stage_seconds_count", {"stage": "pii"})
    assert (changes, timed) == (32, 2)


def test_stages_of_a_profile_run_in_their_one_order() -> None:
    own = ProfileSettings(stages=("pii", "repair", "normalize"))
    profile = Profiles(StreamSettings(profile="own", profiles={"own": own})).default
    assert [name for name, _ in profile.stages] == ["repair", "normalize", "pii"]
    assert list(STAGES)[-1] == "pii"


def test_a_timestamp_far_ahead_of_kafkas_is_rejected_and_a_zone_ahead_is_not() -> None:
    def at(ahead_s: int) -> Document | Rejection:
        text = f'{{"text": "a", "timestamp": {NOW_MS // 1000 + ahead_s}}}'
        return cleaned(text, StreamSettings())

    assert isinstance(at(14 * 3600), Document)
    rejected = at(2 * 86_400)
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "future"
    assert "stream.max_future_s is 86400" in rejected.detail


@pytest.mark.parametrize(
    ("headers", "value", "field"),
    [
        ({"content_type": "application/pdf"}, "a", "content-type"),
        ({"content_type": "text/plain; charset=klingon"}, "a", "content-type"),
        ({"content_encoding": "br"}, "a", "content-encoding"),
        ({}, '{"text": "a", "content_type": "image/png"}', "content_type"),
    ],
)
def test_what_is_said_to_be_no_text_is_rejected_by_the_field_that_says_it(
    headers: dict[str, str], value: str, field: str
) -> None:
    rejected = cleaned(value, StreamSettings(), **headers)
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "bad_field"
    assert field in rejected.detail.partition(":")[0]


def test_a_declared_charset_is_asked_only_when_the_bytes_are_no_utf_8() -> None:
    def of(value: bytes, charset: str) -> Document | Rejection:
        headers = {"content-type": f"text/plain; charset={charset}".encode()}
        record = RawRecord("raw", 0, 0, NOW_MS, None, value, headers)
        return Pipeline(StreamSettings()).clean(record)

    for value, charset in (
        ("größer".encode("latin-1"), "ISO-8859-1"),
        ("größer".encode(), "iso-8859-1"),
        ("größer".encode("utf-16"), "utf-16"),
    ):
        result = of(value, charset)
        assert isinstance(result, Document)
        assert result.text == "größer"
    rejected = of(b"\x81\xff\xff", "shift_jis")
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "not_utf8"


def test_the_text_of_a_json_record_may_be_html() -> None:
    result = cleaned('{"text": "<p>a &lt; b</p>", "content_type": "text/html"}', StreamSettings())
    assert isinstance(result, Document)
    assert result.text == "a < b"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call (+974 4412 3456) 1.0.8 is out", "call ([PHONE]) 1.0.8 is out"),
        ("+82 2-212-3456 12 times", "[PHONE] 12 times"),
        ("+12 345", "+12 345"),
        ("upstream 2a00:1450:4001:81b::200e answers", "upstream [IP] answers"),
        ("ping to 121.238.67.98 works", "ping to [IP] works"),
        ("<b>121.238.67.98</b>", "<b>[IP]</b>"),
        ("Bump Standards-Version to 4.6.0.1", "Bump Standards-Version to 4.6.0.1"),
        ("control (Standards-Version): bump to 3.5.9.0", None),
        ("needs foo (>= 4.6.0.1)", None),
        ("from 3.7 -> 4.6.0.1", None),
        ("Version: 4.6.0.1", None),
    ],
)
def test_what_stands_before_and_behind_a_number_tells_what_it_is(
    text: str, masked: str | None
) -> None:
    result = cleaned(text, StreamSettings(profile="chat"))
    assert isinstance(result, Document)
    assert result.text == (masked or text)


KEY_LINES = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 3)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            f"a\n-----BEGIN PRIVATE KEY-----\n{KEY_LINES}\nMzE=\n-----END PRIVATE KEY-----\nb",
            "a\n[SECRET]\nb",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,0A1B\n\n"
            f"{KEY_LINES}\n-----END RSA PRIVATE KEY-----",
            "[SECRET]",
        ),
        (
            f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{KEY_LINES}\nxy==\n=aBcD\n"
            "-----END PGP PRIVATE KEY BLOCK-----",
            "[SECRET]",
        ),
        (f"k: -----BEGIN PRIVATE KEY-----\n{KEY_LINES}", "k: [SECRET]"),
        (
            'k = "-----BEGIN EC PRIVATE KEY-----\\n'
            + KEY_LINES.replace("\n", "\\n")
            + '\\nQ==\\n-----END EC PRIVATE KEY-----\\n"',
            'k = "[SECRET]\\n"',
        ),
        (
            "A file with -----BEGIN PRIVATE KEY----- in it is a key and stays on the machine.",
            "A file with [SECRET] in it is a key and stays on the machine.",
        ),
    ],
)
def test_a_private_key_goes_whole_and_the_text_behind_it_stays(text: str, masked: str) -> None:
    result = cleaned(text, StreamSettings(profile="code"))
    assert isinstance(result, Document)
    assert result.text == masked
