import random

import pytest

from stream.duplicates import SPAN_OFFSETS, Duplicates, cost
from stream.stages.fingerprint import Fingerprint, fingerprint

DAY_S = 86_400.0


def mark(number: int, *bands: int) -> Fingerprint:
    return Fingerprint(number, bands)


def memory(max_entries: int = 1000, window_s: float = DAY_S) -> Duplicates:
    """Compares with the newest `max_entries` texts, and a few more."""
    return Duplicates(int(max_entries * cost((1,)) / 0.8) + 1, window_s)


def test_a_text_that_comes_again_names_its_first_appearance() -> None:
    seen = memory()
    seen.add(3, 0, mark(7))
    assert seen.find(4, 0, mark(7)) == ("duplicate", 3)
    assert seen.find(4, 0, mark(8)) is None


def test_a_record_is_no_duplicate_of_itself_or_of_a_later_one() -> None:
    seen = memory()
    seen.add(3, 0, mark(7))
    assert seen.find(3, 0, mark(7)) is None
    assert seen.find(2, 0, mark(7)) is None


def test_real_texts_that_share_most_of_their_words_are_near_duplicates() -> None:
    words = [f"word{number}" for number in range(300)]
    text = " ".join(words)
    other = " ".join([*words[:150], "another", *words[151:]])
    seen = memory()
    seen.add(0, 0, fingerprint(text))
    assert seen.find(1, 0, fingerprint(other)) == ("near_duplicate", 0)
    assert seen.find(1, 0, fingerprint(text.upper())) == ("duplicate", 0)
    assert seen.find(1, 0, fingerprint(" ".join(reversed(words)))) is None


def test_the_window_lies_between_the_records_whatever_the_clock_of_the_reader_says() -> None:
    seen = memory(window_s=10)
    seen.add(0, 100_000, mark(7))
    assert seen.find(1, 110_000, mark(7)) is not None
    assert seen.find(1, 110_001, mark(7)) is None
    assert seen.find(1, 89_999, mark(7)) is None


def test_a_text_that_lies_too_many_records_back_is_no_duplicate() -> None:
    seen = memory()
    seen.add(0, 0, mark(7))
    assert seen.find(SPAN_OFFSETS, 0, mark(7)) is not None
    assert seen.find(SPAN_OFFSETS + 1, 0, mark(7)) is None


def test_memory_stays_within_its_bytes_however_much_passes() -> None:
    seen = Duplicates(100_000, DAY_S)
    for offset in range(5000):
        seen.add(offset, 0, mark(offset, offset + 10**6, offset + 10**7))
        assert seen.num_bytes <= 100_000
    assert len(seen._by_key) == 3 * len(seen)
    assert seen.find(5000, 0, mark(4999)) == ("duplicate", 4999)
    assert seen.find(5000, 0, mark(0)) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_again_gets_the_verdicts_that_it_got(seed: int) -> None:
    """Whether the memory goes back itself or is made anew from what was let through before."""
    chance = random.Random(seed)
    texts = [chance.randrange(60) for _ in range(400)]
    times = [chance.randrange(20_000) for _ in texts]

    def judge(seen: Duplicates, first: int, last: int) -> list[bool]:
        verdicts = []
        for offset in range(first, last):
            found = seen.find(offset, times[offset], mark(texts[offset]))
            verdicts.append(found is not None)
            if found is None:
                seen.add(offset, times[offset], mark(texts[offset]))
        return verdicts

    # 32 of 40 entries are compared with: fewer than there are texts, so that entries leave too.
    straight = memory(max_entries=32, window_s=10)
    verdicts = judge(straight, 0, 400)
    assert any(verdicts)
    crashed = memory(max_entries=32, window_s=10)
    reached = 0
    while reached < 400:
        end = min(400, reached + chance.randrange(1, 60))
        assert judge(crashed, reached, end) == verdicts[reached:end]
        back = max(0, end - chance.randrange(8)) if end < 400 else end
        if chance.random() < 0.5:
            crashed.forget_from(back)
        else:
            crashed = memory(max_entries=32, window_s=10)
            for offset in range(back):
                if not verdicts[offset]:
                    crashed.add(offset, times[offset], mark(texts[offset]))
        reached = back
