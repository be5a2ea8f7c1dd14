"""The rule by which a version leaves a prompt to its origin."""

import math

import pytest

from riverrun.deferral import ALLOWANCE, defers, defers_text, trace


def test_the_trace_is_that_of_the_best_stretch() -> None:
    assert trace([]) == 0.0
    assert trace([-3.0, ALLOWANCE, -1.0]) == 0.0
    assert trace([2.0, -9.0, 3.0, 4.0, -1.0]) == pytest.approx(7.0 - 2 * ALLOWANCE)


def test_what_else_a_prompt_says_hides_no_trace_and_makes_none() -> None:
    own = [3.0, 4.0, 2.0]
    drift = [-0.3, 0.4, -0.2] * 100
    assert trace(drift) == 0.0
    assert trace([*drift, *own, *drift]) == pytest.approx(trace(own))


def test_the_origin_answers_below_the_margin_and_without_evidence() -> None:
    gains = [3.0 + ALLOWANCE, 4.0 + ALLOWANCE]
    assert not defers(gains, 7.0)
    assert defers(gains, 7.001)
    assert defers([], 1.0)
    assert defers([math.nan, 1.0], 1.0)


def test_a_trace_in_a_prompt_that_is_worse_as_a_whole_is_left_to_the_origin() -> None:
    gains = [8.0, *[-0.5] * 20]
    assert not defers(gains, 7.0)
    assert defers([*gains, *[-0.5] * 20], 7.0)


def test_of_a_whole_text_all_decides() -> None:
    assert not defers_text([0.1] * 70, 6.9)
    assert defers_text([0.1] * 70, 7.1)
    assert defers_text([9.0, -3.0], 7.0)
    assert defers_text([math.nan], 7.0)
