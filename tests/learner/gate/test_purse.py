"""Judging costs its share of the time, whatever a single judgement costs."""

import pytest

from learner.gate.purse import LONGEST_SAVED_S, Purse


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_work_that_is_always_done_when_it_is_afforded_takes_its_share() -> None:
    clock = Clock()
    purse = Purse(0.15, clock)
    for _ in range(20_000):
        if purse.affords({"panel": 10}):
            with purse.paying("panel", 10):
                clock.now_s += 0.7
        clock.now_s += 0.05
    assert purse.spent_share() == pytest.approx(0.15, abs=0.01)


def test_the_share_is_kept_from_the_first_minute_on() -> None:
    clock = Clock()
    purse = Purse(0.15, clock)
    worst = 0.0
    for _ in range(600):
        if purse.affords({"panel": 10, "copy": 1}):
            with purse.paying("panel", 10):
                clock.now_s += 0.03
            with purse.paying("copy"):
                clock.now_s += 0.02
            if clock.now_s > 2:
                worst = max(worst, purse.spent_share())
        clock.now_s += 0.05
    assert 0.1 < worst <= 0.15 + 1e-9


def test_a_quiet_time_does_not_pay_for_a_storm() -> None:
    clock = Clock()
    purse = Purse(0.5, clock)
    clock.now_s = 1e6
    assert purse.saved_s == LONGEST_SAVED_S


def test_what_costs_more_than_can_be_saved_is_done_now_and_then_and_keeps_the_share() -> None:
    clock = Clock()
    purse = Purse(0.15, clock)
    num_done = 0
    for _ in range(20_000):
        if purse.affords({"control": 1}):
            num_done += 1
            with purse.paying("control"):
                clock.now_s += 4 * LONGEST_SAVED_S
        clock.now_s += 1
    assert num_done > 30
    assert 0.1 < purse.spent_share() <= 0.15


def test_what_failed_is_paid_too() -> None:
    clock = Clock()
    purse = Purse(0.5, clock)
    before = purse.saved_s

    def fail() -> None:
        with purse.paying("panel"):
            clock.now_s += 4
            raise OSError("a full disk")

    with pytest.raises(OSError, match="a full disk"):
        fail()
    assert purse.saved_s == pytest.approx(before - 4 + 2)
