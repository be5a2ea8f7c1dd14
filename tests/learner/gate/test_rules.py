"""Which actions follow from which numbers, and when they come again."""

from learner.actions import Action
from learner.gate.blame import is_rate_to_blame, sources_to_blame
from learner.gate.rules import Verdict, rules_of, verdict


def run(rules: list[str], values: list[float], blamed: tuple[str, ...] = ()) -> list[Verdict]:
    """One judged version a value of `forgetting`."""
    streaks: dict[str, int] = {}
    found = []
    for value in values:
        found.append(verdict(rules_of(rules), {"forgetting": value}, streaks, blamed))
        streaks = found[-1].streaks
    return found


def kinds(found: list[Verdict]) -> list[list[str]]:
    return [[action.kind for action in one.actions] for one in found]


def test_a_version_is_held_for_as_long_as_the_condition_holds() -> None:
    found = run(["when forgetting > 1 then hold"], [0, 2, 2, 1, 2])
    assert [one.kind for one in found] == ["promote", "hold", "hold", "promote", "hold"]
    assert [bool(one.reasons) for one in found] == [False, True, True, False, True]


def test_other_actions_come_once_until_the_condition_was_over() -> None:
    found = run(["when forgetting > 1 then reset_optimizer"], [2, 2, 2, 0, 2])
    assert kinds(found) == [["reset_optimizer"], [], [], [], ["reset_optimizer"]]
    assert all(one.kind == "promote" for one in found)


def test_with_a_number_of_versions_they_come_after_so_many_and_after_so_many_more() -> None:
    rule = "when forgetting > 1 for 3 versions then hold, lower_rate 0.5"
    found = run([rule], [2] * 7 + [0] + [2] * 3)
    lowered = [i for i, one in enumerate(kinds(found)) if one]
    assert lowered == [2, 5, 10]
    assert [i for i, one in enumerate(found) if one.kind == "hold"] == [2, 3, 4, 5, 6, 10]


def test_rolling_back_outweighs_holding_and_the_strongest_factor_counts() -> None:
    rules = [
        "when forgetting > 1 then lower_rate 0.5, roll_back",
        "when forgetting > 2 then hold, lower_rate 0.1, quarantine",
    ]
    [found] = run(rules, [3], ("a", "b"))
    assert found.kind == "roll_back"
    assert found.actions == [
        Action(kind="lower_rate", numbers={"factor": 0.1}),
        Action(kind="quarantine", subject="a"),
        Action(kind="quarantine", subject="b"),
    ]


def test_who_is_to_blame() -> None:
    assert sources_to_blame({"a": "drift", "b": "new"}, 10) == ["a"]
    assert sources_to_blame({"b": "new", "layers.0": "exploding"}, 10) == ["b"]
    assert not is_rate_to_blame({"b": "new", "layers.0": "exploding"}, 10)
    assert is_rate_to_blame({"layers.0": "exploding"}, 10)
    # The untouched model: its first sources have nobody to be compared with.
    assert sources_to_blame({"b": "new"}, 0) == []
    assert is_rate_to_blame({"b": "new"}, 0)
    assert not is_rate_to_blame({}, 10)
