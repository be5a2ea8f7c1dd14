"""An ability comes and goes beyond chance, and chance alone seldom looks like it."""

import random

import pytest
from scipy.stats import binomtest

from learner.entries import Ability
from learner.probes.abilities import ALPHA, allowed, look, tail


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (3, 0), (0, 8), (2, 9), (6, 6)])
def test_the_tail_is_the_exact_binomials(lost: int, gained: int) -> None:
    num = lost + gained
    expected = binomtest(lost, num).pvalue if num else 1.0
    assert tail(lost, gained) == pytest.approx(expected)


def test_all_looks_together_may_err_no_more_than_alpha() -> None:
    assert sum(allowed(k) for k in range(1, 100_000)) == pytest.approx(ALPHA, rel=1e-3)


def test_what_is_lost_for_good_is_said_once_and_stays_lost_until_it_is_back() -> None:
    ability = Ability("1" * 12, "1" * 12)
    ability = look(ability, "0" + "1" * 11)
    assert not ability.is_lost
    ability = look(ability, "0" * 12)
    assert ability.is_lost
    assert ability.is_newly_lost
    ability = look(ability, "0" * 12)
    assert ability.is_lost
    assert not ability.is_newly_lost
    assert not look(ability, "1" * 12).is_lost


def test_what_was_gained_is_held_against_later_runs() -> None:
    gained = look(Ability("0" * 12, "0" * 12), "1" * 12)
    assert gained.passed == "1" * 12
    assert look(gained, "0" * 12).is_lost


def test_chance_makes_an_event_in_fewer_than_alpha_of_all_lives() -> None:
    chance = random.Random(3)
    num_events = 0
    for _ in range(400):
        ability = Ability("".join(chance.choices("01", k=20)), "")
        for _ in range(30):
            before = ability.passed
            ability = look(ability, "".join(chance.choices("01", k=20)))
            if ability.is_lost or ability.passed != before:
                num_events += 1
                break
    assert num_events / 400 <= ALPHA
