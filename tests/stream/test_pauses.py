import random

import pytest

from stream.pauses import MAX_PAUSES, MAX_WINDOWS, Limits, Pauses, key_of

LIMITS = Limits(rejections=5, share=0.5, window_s=10, pause_s=60)


def feed(pauses: Pauses, verdicts: str, source: str = "a", at_ms: int = 0) -> list[str | None]:
    """`x` is a rejection, `.` a document, one a millisecond."""
    return [
        pauses.observe(source, at_ms + i, at_ms + i, "not_utf8" if one == "x" else None)
        for i, one in enumerate(verdicts)
    ]


def test_a_source_is_paused_when_number_and_share_are_passed() -> None:
    pauses = Pauses(LIMITS)
    assert feed(pauses, "xxxxx") == [None] * 4 + ["paused"]
    assert pauses.holds("a", 5)
    assert not pauses.holds("b", 5)


def test_few_rejections_or_a_small_share_pause_nobody() -> None:
    assert feed(Pauses(LIMITS), "xxxx") == [None] * 4
    assert "paused" not in feed(Pauses(LIMITS), "x.." * 200)


def test_rejections_far_apart_pause_nobody() -> None:
    pauses = Pauses(LIMITS)
    changes = [pauses.observe("a", i, i * 5000, "empty") for i in range(100)]
    assert changes == [None] * 100


def test_repetitions_pause_nobody() -> None:
    pauses = Pauses(LIMITS)
    for i in range(100):
        assert pauses.observe("a", i, i, "duplicate") is None
        assert pauses.observe("a", i, i, "near_duplicate") is None


def test_a_pause_ends_with_the_first_record_after_its_time() -> None:
    pauses = Pauses(LIMITS)
    feed(pauses, "xxxxx")
    assert pauses.holds("a", 4 + 59_999)
    assert not pauses.holds("a", 4 + 60_000)
    assert pauses.observe("a", 9, 4 + 60_000, None) == "resumed"
    assert pauses.paused() == []


def test_a_pause_ends_on_command_for_one_source_or_all() -> None:
    pauses = Pauses(LIMITS)
    for source in "abc":
        feed(pauses, "xxxxx", source)
    assert pauses.resume("b") == ["b"]
    assert pauses.resume("b") == []
    assert pauses.resume("*") == ["a", "c"]


def test_no_limit_means_no_pause() -> None:
    pauses = Pauses(Limits(0, 0.5, 10, 60))
    assert set(feed(pauses, "x" * 1000)) == {None}


def test_a_timestamp_of_the_far_future_holds_nothing_up() -> None:
    pauses = Pauses(LIMITS)
    assert pauses.observe("a", 0, 10**15, "empty") is None
    assert "paused" in feed(pauses, "xxxxx", at_ms=1)


@pytest.mark.parametrize("seed", range(10))
def test_whoever_goes_on_from_a_note_decides_as_the_one_who_wrote_it(seed: int) -> None:
    chance = random.Random(seed)
    records = [
        (chance.choice("abcd"), offset * 40, chance.choice(["empty", "empty", None]))
        for offset in range(2000)
    ]
    one = Pauses(LIMITS)
    other = Pauses(LIMITS)
    for offset, (source, at_ms, reason) in enumerate(records):
        if chance.random() < 0.1:
            other = Pauses(LIMITS, one.note())
        held = one.holds(source, at_ms)
        assert other.holds(source, at_ms) == held
        given = ("paused" if held and reason is None else reason, at_ms)
        change = one.observe(source, offset, given[1], given[0])  # type: ignore[arg-type]
        assert other.observe(source, offset, given[1], given[0]) == change  # type: ignore[arg-type]
    assert one.note() == other.note()


def test_the_state_fits_beside_an_offset_whatever_the_sources_are_called() -> None:
    pauses = Pauses(LIMITS)
    for number in range(MAX_PAUSES + 5):
        feed(pauses, "xxxxx", "河" * 190 + str(number), at_ms=number * 10)
    assert len(pauses.paused()) == MAX_PAUSES
    for number in range(MAX_WINDOWS + 5):
        feed(pauses, "x", "流" * 190 + str(number), at_ms=1_700_000_000_000)
    assert len(pauses.note().encode()) < 4000


def test_long_names_stay_apart() -> None:
    assert key_of("s" * 199 + "a") != key_of("s" * 199 + "b")
    assert key_of("short") == "short"


def test_a_note_of_somebody_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no state"):
        Pauses(LIMITS, "hello")
