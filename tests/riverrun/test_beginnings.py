"""What halving finds is what a loop finds."""

from hypothesis import given
from hypothesis import strategies as st

from riverrun.beginnings import num_shared

LETTERS = st.lists(st.integers(0, 1), max_size=20)


@given(LETTERS, LETTERS, st.none() | st.integers(0, 25))
def test_as_many_items_are_shared_as_a_loop_counts(
    one: list[int], other: list[int], limit: int | None
) -> None:
    counted = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its or counted == limit:
            break
        counted += 1
    assert num_shared(one, other, limit) == counted
