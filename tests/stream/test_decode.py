import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rejected import Rejected
from stream.stages.decode import Decoded, decode
from stream.stages.timestamp import timestamp_of_header, timestamp_of_json


def refused(value: bytes, content_type: str | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(value, content_type)
    return caught.value


def test_plain_text_is_taken_as_it_is() -> None:
    assert decode("naïve\ttext\n".encode(), None) == Decoded("naïve\ttext\n")


def test_a_byte_order_mark_is_no_text() -> None:
    assert decode(b"\xef\xbb\xbfhello", None) == Decoded("hello")


def test_bytes_that_are_not_utf8_are_refused_with_their_place() -> None:
    rejected = refused(b"caf\xe9 noir")
    assert (rejected.reason, rejected.detail) == (
        "not_utf8",
        "byte 0xe9 at 3 (invalid continuation byte)",
    )


def test_a_json_object_gives_its_fields() -> None:
    value = {
        "text": "hi",
        "source": " wiki ",
        "id": 7,
        "timestamp": "2024-05-01T12:00:00Z",
        "language": "en",
        "other": [1],
    }
    assert decode(b" \n" + json.dumps(value).encode(), None) == Decoded(
        "hi", "wiki", "7", 1_714_564_800_000, "en"
    )


def test_null_and_empty_fields_say_nothing() -> None:
    value = b'{"text": "hi", "source": "", "id": null, "timestamp": null, "language": " "}'
    assert decode(value, None) == Decoded("hi")


@pytest.mark.parametrize("code", ["{ int x = 1; }", "{}}", '{"text": "cut o', "{" * 100_000])
def test_code_that_begins_with_a_brace_is_plain_text(code: str) -> None:
    assert decode(code.encode(), None) == Decoded(code)


def test_the_content_type_decides() -> None:
    assert decode(b'{"text": "hi"}', "text/plain; charset=utf-8") == Decoded('{"text": "hi"}')
    assert refused(b"{ int x; }", "application/json; charset=utf-8").reason == "bad_json"
    assert refused(b'["hi"]', "Application/JSON").detail == "wanted a JSON object, got list"


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"{}", "text: got 'no such field', wanted a string"),
        (b'{"text": 5}', "text: got 5, wanted a string"),
        (b'{"text": null}', "text: got None, wanted a string"),
        (b'{"text": "a", "source": 1}', "source: got 1, wanted a string of at most 200 characters"),
        (b'{"text": "a", "id": true}', "id: got True, wanted a string of at most 1000 characters"),
        (
            b'{"text": "a", "timestamp": "soon"}',
            "timestamp: got 'soon', wanted ISO 8601, or seconds or milliseconds since 1970",
        ),
    ],
)
def test_a_bad_field_is_named_with_what_it_had_and_what_it_takes(value: bytes, detail: str) -> None:
    rejected = refused(value)
    assert (rejected.reason, rejected.detail) == ("bad_field", detail)


def test_half_a_character_in_json_becomes_a_replacement_character() -> None:
    assert decode(rb'{"text": "a\ud83d b \ud83d\ude00"}', None) == Decoded("a\ufffd b 😀")


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (1_700_000_000, 1_700_000_000_000),
        (1_700_000_000.25, 1_700_000_000_250),
        (1_700_000_000_123, 1_700_000_000_123),
        ("2023-11-14T22:13:20", 1_700_000_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
        (0, 0),
        (None, None),
    ],
)
def test_a_timestamp_is_iso_or_seconds_or_milliseconds(
    value: object, milliseconds: int | None
) -> None:
    assert timestamp_of_json(value) == milliseconds


@pytest.mark.parametrize("value", [-1, 1e300, float("nan"), True, "", "yesterday", [], {}])
def test_any_other_timestamp_is_refused(value: object) -> None:
    with pytest.raises(Rejected):
        timestamp_of_json(value)


def test_a_number_in_the_header_is_text() -> None:
    assert timestamp_of_header("1700000000") == 1_700_000_000_000
    assert timestamp_of_header("2023-11-14T22:13:20Z") == 1_700_000_000_000
    with pytest.raises(Rejected):
        timestamp_of_header("12")


@given(st.binary() | st.text().map(str.encode), st.sampled_from([None, "application/json", "x"]))
def test_decoding_gives_valid_text_or_refuses(value: bytes, content_type: str | None) -> None:
    try:
        decoded = decode(value, content_type)
    except Rejected:
        return
    assert decoded.text.encode().decode() == decoded.text


@given(
    st.dictionaries(
        st.sampled_from(["text", "source", "id", "timestamp", "language", "more"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_json_object_is_a_document_or_refused(fields: dict[str, object]) -> None:
    value = json.dumps(fields).encode()
    try:
        decoded = decode(value, None)
    except Rejected:
        assert refused(value).reason == "bad_field"
    else:
        assert decoded.text == fields["text"]
