import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from stream.pipeline import HEAD_BYTES, Pipeline
from stream.raw_record import RawRecord

PIPELINE = Pipeline(StreamSettings(max_text_bytes=1000))
RAW = RawRecord("raw", 2, 41, 1_700_000_000_000, b"key", b"text")


def cleaned(**changes: object) -> Document:
    result = PIPELINE.clean(dataclasses.replace(RAW, **changes))  # type: ignore[arg-type]
    assert isinstance(result, Document), result
    return result


def rejected(**changes: object) -> Rejection:
    result = PIPELINE.clean(dataclasses.replace(RAW, **changes))  # type: ignore[arg-type]
    assert isinstance(result, Rejection), result
    return result


def test_the_source_is_the_field_else_the_header_else_the_key_else_the_default() -> None:
    header = {"source": b"header"}
    assert cleaned(value=b'{"text": "a", "source": "field"}', headers=header).source == "field"
    assert cleaned(headers=header).source == "header"
    assert cleaned().source == "key"
    assert cleaned(key=None).source == "default"


@pytest.mark.parametrize("key", [b"", b"\xff\x00", b"k" * 201, b"a\nb", b"\x00\x00\x00\x07"])
def test_a_key_that_is_no_name_is_no_source(key: bytes) -> None:
    assert cleaned(key=key).source == "default"


def test_the_time_is_the_field_else_the_header_else_kafkas() -> None:
    header = {"timestamp": b"1600000000"}
    field = b'{"text": "a", "timestamp": 1500000000}'
    assert cleaned(value=field, headers=header).timestamp_ms == 1_500_000_000_000
    assert cleaned(headers=header).timestamp_ms == 1_600_000_000_000
    assert cleaned().timestamp_ms == 1_700_000_000_000


def test_the_id_is_the_field_else_the_header() -> None:
    assert cleaned(value=b'{"text": "a", "id": "f"}', headers={"id": b"h"}).id == "f"
    assert cleaned(headers={"id": b"h"}).id == "h"
    assert cleaned().id is None


def test_text_is_repaired_and_normalized() -> None:
    assert cleaned(value="e\u0301tÃ©\r\n".encode()).text == "été\n"


@pytest.mark.parametrize("value", [b"", b" \n\t", "\u200b\ufeff".encode(), b'{"text": "\\u0000"}'])
def test_a_text_without_a_visible_character_is_empty(value: bytes) -> None:
    assert rejected(value=value).reason == "empty"


def test_the_limit_is_on_the_bytes_of_the_record() -> None:
    assert cleaned(value=b"a" * 1000).text == "a" * 1000
    letter = rejected(value=b"a" * 1001)
    assert letter.reason == "too_large"
    assert letter.detail == "the value has 1001 bytes; stream.max_text_bytes is 1000"


def test_a_dead_letter_has_the_coordinates_and_the_first_bytes() -> None:
    value = b"\xff" + b"x" * 900
    assert rejected(value=value) == Rejection(
        reason="not_utf8",
        detail="byte 0xff at 0 (invalid start byte)",
        topic="raw",
        partition=2,
        offset=41,
        num_bytes=901,
        head=value[:HEAD_BYTES],
        timestamp_ms=1_700_000_000_000,
    )


def test_a_tombstone_has_no_value() -> None:
    assert (rejected(value=None).reason, rejected(value=None).num_bytes) == ("no_value", 0)


def test_a_bad_timestamp_header_is_a_bad_field() -> None:
    letter = rejected(headers={"timestamp": b"soon"})
    assert (letter.reason, letter.detail.split(":")[0]) == ("bad_field", "header timestamp")


@given(
    st.binary() | st.text().map(str.encode),
    st.none() | st.binary(),
    st.dictionaries(
        st.sampled_from(["source", "id", "timestamp", "content-type", "x"]), st.binary()
    ),
)
def test_any_record_becomes_a_document_or_a_dead_letter(
    value: bytes, key: bytes | None, headers: dict[str, bytes]
) -> None:
    result = PIPELINE.clean(RawRecord("raw", 0, 0, 0, key, value, headers))
    if isinstance(result, Document):
        assert result.text.encode().strip()
        assert result.source.encode()
