"""The loss of old knowledge that an operator allows, and what is done as it is used up."""

import pytest

from learner.gate.budget import budget_used
from learner.gate.rules import rules_of, verdict
from riverrun.settings.gate import RULES


@pytest.mark.parametrize(
    ("numbers", "used"),
    [
        ({}, None),
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
def test_the_nearer_bound_counts(numbers: dict[str, float], used: float | None) -> None:
    assert budget_used(numbers, 1.03, 0.95) == (used if used is None else pytest.approx(used))


def test_learning_slows_then_stops_rehearsing_then_is_not_served() -> None:
    streaks: dict[str, int] = {}
    seen: list[tuple[str, list[str]]] = []
    for used in (0.3, 0.7, 0.8, 0.95, 1.1):
        found = verdict(rules_of(RULES), {"budget_used": used}, streaks)
        streaks = found.streaks
        seen.append((found.kind, [action.kind for action in found.actions]))
    assert seen == [
        ("promote", []),
        ("promote", []),
        ("promote", ["lower_rate"]),
        ("promote", ["stop_rehearsal"]),
        ("hold", ["lower_rate"]),
    ]
