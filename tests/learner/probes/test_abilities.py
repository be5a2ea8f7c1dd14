"""An ability comes and goes beyond chance, and chance alone seldom looks like it."""

import random

import pytest
from scipy.stats import binomtest

from learner.entries import Ability
from learner.probes.abilities import ALPHA, look, tail


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (3, 0), (0, 8), (2, 9), (6, 6)])
def test_the_tail_is_the_exact_binomials(lost: int, gained: int) -> None:
    num = lost + gained
    expected = binomtest(lost, num).pvalue if num else 1.0
    assert tail(lost, gained) == pytest.approx(expected)


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


def test_what_was_gained_and_is_still_there_is_held_against_later_runs() -> None:
    gained = look(Ability("0" * 12, "0" * 12), "1" * 12)
    assert gained.is_gained
    still = look(gained, "1" * 11 + "0")
    assert not still.is_gained
    assert still.passed == "1" * 11 + "0"
    assert look(still, "0" * 12).is_newly_lost


def test_a_gain_hides_no_loss() -> None:
    ability = Ability("1" * 12 + "0" * 12, "")
    gained = look(ability, "1" * 24)
    assert gained.is_gained
    assert look(gained, "0" * 24).is_newly_lost


@pytest.mark.parametrize("num_tasks", [8, 10, 12, 40])
def test_a_loss_is_seen_at_the_fiftieth_look_as_at_the_first(num_tasks: int) -> None:
    ability = Ability("1" * num_tasks, "1" * num_tasks)
    for turn in range(49):
        ability = look(ability, "01"[turn % 2] + "1" * (num_tasks - 1))
        assert not ability.is_lost
    lost = "0" * 8 + "1" * (num_tasks - 8)
    assert look(ability, lost).is_newly_lost
    assert look(Ability(ability.passed, ""), lost).is_newly_lost


@pytest.mark.parametrize("num_tasks", [10, 20, 60])
def test_a_look_errs_no_more_often_than_it_may(num_tasks: int) -> None:
    chance = random.Random(3)
    num_events = 0
    for _ in range(5000):
        before, latest = ("".join(chance.choices("01", k=num_tasks)) for _ in range(2))
        after = look(Ability(before, before), latest)
        num_events += after.is_lost or after.is_gained
    assert 0 < num_events / 5000 <= ALPHA


def test_gains_by_chance_do_not_make_what_follows_look_like_losses() -> None:
    """As they would if the luckiest run of all were what later ones are held against: in 7% of
    these looks."""
    chance = random.Random(4)
    ability = Ability("".join(chance.choices("01", k=20)), "")
    num_events = 0
    for _ in range(5000):
        ability = look(ability, "".join(chance.choices("01", k=20)))
        num_events += ability.is_lost or ability.is_gained
    assert num_events / 5000 <= ALPHA
