"""A rule says what it does, and a wrong one is refused with the word at fault."""

import pytest

from riverrun.errors import InvalidValue
from riverrun.settings import GateSettings, Settings
from riverrun.settings.gate import RULES
from riverrun.settings.gate_rules import parse
from riverrun.settings.load import load_settings


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("hold everything", "rules like"),
        ("when beauty > 1 then hold", "beauty"),
        ("when weather.rain > 1 then hold", "weather.rain"),
        ("when forgetting > much then hold", "not `much`"),
        ("when forgetting > nan then hold", "a bound that is a number"),
        ("when forgetting != 1 then hold", "conditions like"),
        ("when forgetting > 1 for 0 versions then hold", "N from 1"),
        ("when forgetting > 1 then explode", "explode"),
        ("when forgetting > 1 then lower_rate 1.5", "between 0 and 1"),
        ("when forgetting > 1 then lower_rate", "between 0 and 1"),
        ("when forgetting > 1 then hold 3", "nothing after"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_is_wrong(rule: str, named: str) -> None:
    with pytest.raises(InvalidValue, match=r"gate\.rules") as caught:
        parse(rule)
    assert named in str(caught.value)
    with pytest.raises(InvalidValue, match=r"gate\.rules"):
        load_settings(overrides={"gate.rules": rule})


def test_rules_come_from_the_command_line_and_spaces_do_not_matter() -> None:
    given = "when  forgetting > 0.5 then hold;when lost.guardrails >= 2 then hold, roll_back"
    settings = load_settings(overrides={"gate.rules": given, "gate.more_rules": ""})
    assert settings.gate.rules == (
        "when forgetting > 0.5 then hold",
        "when lost.guardrails >= 2 then hold, roll_back",
    )
    assert Settings(gate=GateSettings(rules=())).gate.rules == ()


def test_all_default_rules_can_be_read_and_a_missing_number_fires_none() -> None:
    for rule in RULES:
        assert parse(rule).text == rule
        assert not parse(rule).holds({})
