"""The rate warms up once, stays, and does what the gate says."""

import pytest

from learner.pace import Pace


def shares(pace: Pace, first: int, last: int) -> list[float]:
    return [pace.share(i) for i in range(first, last + 1)]


def test_the_rate_rises_evenly_and_then_stays() -> None:
    pace = Pace(0.1, 4)
    assert shares(pace, 0, 5) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert pace.rate(1) == pytest.approx(0.05)
    assert Pace(0.1, 0).share(0) == 1.0


def test_a_lowered_rate_stays_low_until_it_is_warmed_again() -> None:
    pace = Pace(0.1, 4)
    pace.lower(0.5)
    pace.lower(0.5)
    assert pace.share(100) == 0.25
    pace.rewarm(101)
    assert shares(pace, 101, 105) == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_restored_pace_goes_on_as_it_was() -> None:
    pace, other = Pace(0.1, 4), Pace(0.1, 4)
    pace.rewarm(7)
    pace.lower(0.5)
    other.restore([pace.snapshot(whole=True)])
    assert shares(other, 7, 20) == shares(pace, 7, 20)
