"""Whatever way a text is cut, what is shown is the text up to its first stop string."""

from hypothesis import given
from hypothesis import strategies as st

from serving.stop_strings import StopStrings

LETTERS = st.text(alphabet="abc", max_size=30)
STOPS = st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=3)


def shown(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    strings = StopStrings(stops)
    text = ""
    for piece in pieces:
        out, stopped = strings.push(piece)
        text += out
        if stopped:
            return text, True
    return text + strings.finish(), False


def first_met(text: str, stops: list[str]) -> int | None:
    """Where the stop that is complete first begins; of those, the earliest."""
    for end in range(len(text) + 1):
        begins = [text[:end].find(stop) for stop in stops if text[:end].endswith(stop)]
        if begins:
            return min(begins)
    return None


@given(LETTERS, STOPS)
def test_letter_by_letter_the_first_complete_stop_ends_the_text(
    text: str, stops: list[str]
) -> None:
    place = first_met(text, stops)
    expected = (text, False) if place is None else (text[:place], True)
    assert shown(list(text), stops) == expected


@given(LETTERS, st.text(alphabet="abc", min_size=1, max_size=4), st.data())
def test_one_stop_string_is_found_however_the_text_is_cut(
    text: str, stop: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    before, found, _ = text.partition(stop)
    assert shown(pieces, [stop]) == ((before, True) if found else (text, False))


@given(LETTERS)
def test_without_stop_strings_nothing_is_held_back(text: str) -> None:
    assert StopStrings(()).push(text) == (text, False)
