"""The loss of old knowledge that an operator allows, and what is done as it is used up."""

from collections.abc import Mapping

import pytest

from learner.gate.budget import budget_used
from learner.gate.rules import rules_of, verdict
from riverrun.settings.gate import RULES


@pytest.mark.parametrize(
    ("numbers", "used"),
    [
        ({}, 0.0),
        ({"control_ratio": 0.9}, 0.0),
        ({"control_ratio": 1.015}, 0.5),
        ({"control_ratio": 1.0, "general_share": 0.95}, 1.0),
        ({"control_ratio": 1.06, "general_share": 1.2}, 2.0),
        # Of 18 tasks one or two may turn by chance; of 1,800 not one in eighteen.
        ({"general_share": 17 / 18, "general_tasks": 18.0}, 0.0),
        ({"general_share": 16 / 18, "general_tasks": 18.0}, 0.0),
        ({"general_share": 15 / 18, "general_tasks": 18.0}, (3 / 18 - 0.5 / 18**0.5) / 0.05),
        ({"general_share": 17 / 18, "general_tasks": 1800.0}, (1 / 18 - 0.5 / 1800**0.5) / 0.05),
    ],
)
def test_the_nearer_bound_counts(numbers: dict[str, float], used: float) -> None:
    assert budget_used(numbers, 1.03, 0.95) == pytest.approx(used)


def actions(values: list[Mapping[str, float]]) -> tuple[list[list[str]], list[float]]:
    """Of one judged version after the other: what follows, and what is left of the rate then."""
    streaks: dict[str, int] = {}
    factor = 1.0
    seen: list[list[str]] = []
    factors: list[float] = []
    for numbers in values:
        found = verdict(rules_of(RULES), {"rate_factor": factor, **numbers}, streaks)
        streaks = found.streaks
        seen.append([found.kind, *(action.kind for action in found.actions)])
        for action in found.actions:
            if action.kind == "lower_rate":
                factor *= action.numbers["factor"]
            elif action.kind == "rewarm_rate":
                factor = 1.0
        factors.append(factor)
    return seen, factors


def test_learning_slows_then_stops_rehearsing_then_is_not_served() -> None:
    seen, _ = actions([{"budget_used": used} for used in (0.3, 0.7, 0.8, 0.95, 1.1, 0.95, 0.8)])
    assert seen == [
        ["promote"],
        ["promote"],
        ["promote", "lower_rate"],
        ["promote", "stop_rehearsal"],
        ["hold", "lower_rate", "stop_rehearsal"],
        ["promote", "stop_rehearsal"],
        ["promote", "lower_rate"],
    ]


def test_a_steady_use_of_the_budget_slows_learning_and_does_not_end_it() -> None:
    factors = actions([{"budget_used": 0.7}] * 40)[1]
    assert factors[-1] == min(factors) == 1 / 16


@pytest.mark.parametrize("evidence", ["worst_ratio", "learned_ratio"])
def test_the_rate_comes_back_when_the_budget_allows_it_and_not_before(evidence: str) -> None:
    """learned_ratio: as long as no text is held out."""
    spent, well = [{"budget_used": used, evidence: 1.0} for used in (0.7, 0.5)]
    seen, factors = actions([spent] * 40 + [well] * 17)
    assert not any("rewarm_rate" in one for one in seen[:40])
    assert factors[54:56] == [1 / 16, 1.0]
    # Also of a model whose old knowledge nobody asks about.
    unasked = {"budget_used": budget_used({}, 1.03, 0.95), evidence: 1.0}
    assert actions([spent] * 40 + [unasked] * 16)[1][-1] == 1.0
    # A saddle is no reason either.
    [seen_at_saddle], _ = actions([spent | {"findings.saddle": 1.0}])
    assert seen_at_saddle == ["promote"]
