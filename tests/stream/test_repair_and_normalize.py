import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.stages.normalize import normalize
from stream.stages.repair import repair

AWKWARD = st.text(
    st.sampled_from(
        "aé\u0301\u0323\u0344\u200b\u200c\u200d\u200e\u2028\ufeff\u00ad\r\n\t\x1b[3m\x00\x85"
        "न\u094dष می\u1780👩👧\ufe0f🏴\U000e0067\U000e007fÃ©â€™Ð¿"
    )
)


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("donâ€™t", "don’t"),
        ("schÃ¶n", "schön"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"),
        ("Ã¢â‚¬Å“twice", "“twice"),
    ],
)
def test_mojibake_is_undone(broken: str, text: str) -> None:
    assert repair(broken) == text


@pytest.mark.parametrize(
    "text",
    ["naïve café", "Größe “x”—y", "Привет, мир", "日本語", "x = Ã", "ﬁn & &amp; ﾊﾝｶｸ", "Ωμέγα…"],
)
def test_what_is_no_mojibake_is_left_alone(text: str) -> None:
    assert repair(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "\tdef f():\n\t\treturn 1\n",
        "می‌خواهم",  # ZWNJ inside a Persian word
        "क्‍ष",  # ZWJ in Devanagari
        "👨‍👩‍👧 ❤️‍🔥 👩🏽‍💻 🏳️‍🌈",  # emoji joined
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "ភាសា\u200bខ្មែរ",  # ZWSP between Khmer words
        "שלום\u200f!",  # a direction mark
    ],
)
def test_characters_that_mean_something_stay(text: str) -> None:
    assert normalize(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne"),
        ("e\u0301", "é"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("zero\u200bwidth\u200d \u2060jo\u00adin\ufeff", "zerowidth join"),
        ("nul\x00 bell\x07 c1\x9b", "nul bell c1"),
        ("plain\U000e0041\U000e0042", "plain"),
        ("user\u202egnp.exe", "usergnp.exe"),
    ],
)
def test_what_nobody_sees_goes(text: str, normal: str) -> None:
    assert normalize(text) == normal


@given(st.text() | AWKWARD)
def test_normalize_is_idempotent_and_gives_nfc(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert len(once.encode()) <= 3 * len(text.encode())


@given(st.text() | AWKWARD)
def test_repair_is_idempotent_and_gives_valid_text(text: str) -> None:
    once = repair(text)
    assert repair(once) == once
    once.encode()


@pytest.mark.parametrize(
    "unit",
    ["\u0301\u0323", "\u200d", "\x1b[", "Ã©", "👩\u200d", "\r\n", "â€™\u0301", "{", "\u0344"],
)
def test_a_megabyte_of_anything_takes_less_than_a_few_seconds(unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    started = time.process_time()
    normalize(repair(text))
    assert time.process_time() - started < 5  # quadratic would be minutes
