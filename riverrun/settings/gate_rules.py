"""The gate's rules as text: `when worst_ratio > 1.01 for 8 versions then lower_rate 0.5`.

    RULE       when CONDITION [and CONDITION]… [for N versions] then ACTION [, ACTION]…
    CONDITION  NUMBER <, <=, > or >= BOUND
    ACTION     hold, roll_back, lower_rate FACTOR, rewarm_rate, reset_optimizer, quarantine,
               stop_rehearsal

`hold` and `stop_rehearsal` last as long as the conditions hold: each version that is judged is
held, and nothing is rehearsed until one is judged without. The other actions are done when they
come to hold and not again before they ceased; with `for N versions`, when they have held for N
judged versions in a row, and after N more again. A number that was not measured makes no condition
hold.

Knows nothing of where numbers come from. Called by the settings and by `learner/gate/rules.py`.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from riverrun.errors import InvalidValue

NUMBERS = {
    "held_out_ratio": "Loss of the candidate on held-out text over that of the best promoted "
    "version, on the same texts; geometric mean over sources.",
    "worst_ratio": "The largest such ratio of a source that has half as many texts.",
    "fresh_ratio": "The same on the newest bucket of each source alone.",
    "old_ratio": "The same on all older buckets.",
    "learned_ratio": "As long as there is not enough held-out text: loss of the newest text, which "
    "the candidate has learned, over that of the best promoted version from before it was.",
    "held_out_bits_per_byte": "Loss of the candidate on held-out text.",
    "control_ratio": "Perplexity of control text over the untouched model's, as it is served.",
    "learned_control_ratio": "The same of the learned weights alone, whatever is left to the "
    "origin.",
    "general_share": "Knowledge probes passed over those that the untouched model passed.",
    "budget_used": "Of the loss of old knowledge that the operator allows; 1: all of it, 0 also "
    "where it is not measured.",
    "forgetting": "Mean forgetting of older buckets at the last full evaluation, bits a byte.",
    "prequential_bits_per_byte": "Loss of the last new text before it was learned.",
    "non_finite": "Steps skipped since the last judged version: loss or gradient not finite.",
    "broken_weights": "Weights of the candidate that are not finite.",
    "rate_factor": "What the gate has left of the recipe's rate.",
    "held_versions": "Versions held in a row before this one.",
}
"""By name, what a rule may compare."""
FAMILIES = {
    "findings": "Findings of one kind since the last judged version: `findings.exploding`, "
    "`findings.drift`, `findings.plateau`, …",
    "share": "Of the tasks of one probe group, those passed: `share.guardrails`.",
    "kept": "Tasks of one probe group passed over those that the untouched model passed, where "
    "those are five at least: `kept.guardrails`.",
    "lost": "Tasks of a probe group lost beyond chance: `lost.guardrails`.",
    "gained": "Tasks of a probe group gained beyond chance.",
}
"""By the word before the dot."""
ACTIONS = (
    "hold",
    "roll_back",
    "lower_rate",
    "rewarm_rate",
    "reset_optimizer",
    "quarantine",
    "stop_rehearsal",
)
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

FORM = re.compile(
    r"when (?P<conditions>.+?)(?: for (?P<num>\d{1,6}) versions?)? then (?P<actions>.+)"
)
CONDITION = re.compile(r"(?P<number>[a-z_]+(?:\.[a-z_]+)?) *(?P<op><=|>=|<|>) *(?P<bound>\S+)")
ALLOWED = "rules like `when worst_ratio > 1.01 for 8 versions then lower_rate 0.5`"


class Condition(NamedTuple):
    number: str
    op: str
    bound: float

    def holds(self, numbers: Mapping[str, float]) -> bool:
        value = numbers.get(self.number)
        return value is not None and OPERATORS[self.op](value, self.bound)


class Rule(NamedTuple):
    """text: as it was given, spaces evened. actions: kind and factor."""

    text: str
    conditions: tuple[Condition, ...]
    num_versions: int | None
    actions: tuple[tuple[str, float | None], ...]

    def holds(self, numbers: Mapping[str, float]) -> bool:
        return all(condition.holds(numbers) for condition in self.conditions)


def parse(text: str) -> Rule:
    """Raises InvalidValue that names the word at fault."""
    even = " ".join(text.split())
    form = FORM.fullmatch(even)
    if form is None:
        raise InvalidValue("gate.rules", text, ALLOWED)
    conditions = tuple(_condition(even, one) for one in form["conditions"].split(" and "))
    num = None if form["num"] is None else int(form["num"])
    if num == 0:
        raise InvalidValue("gate.rules", text, "`for N versions` with N from 1")
    actions = tuple(_action(even, one.split()) for one in form["actions"].split(","))
    return Rule(even, conditions, num, actions)


def _condition(rule: str, text: str) -> Condition:
    found = CONDITION.fullmatch(text.strip())
    if found is None:
        raise InvalidValue("gate.rules", rule, f"conditions like `forgetting > 0.1`, not `{text}`")
    family, dot, _ = found["number"].partition(".")
    if family not in FAMILIES if dot else family not in NUMBERS:
        names = ", ".join([*NUMBERS, *(f"{family}.NAME" for family in FAMILIES)])
        raise InvalidValue("gate.rules", rule, f"the numbers {names}, not `{found['number']}`")
    try:
        bound = float(found["bound"])
    except ValueError:
        raise InvalidValue("gate.rules", rule, f"a number, not `{found['bound']}`") from None
    if bound != bound:
        raise InvalidValue("gate.rules", rule, "a bound that is a number")
    return Condition(found["number"], found["op"], bound)


def _action(rule: str, words: list[str]) -> tuple[str, float | None]:
    kind = words[0] if words else ""
    if kind not in ACTIONS:
        raise InvalidValue("gate.rules", rule, f"the actions {', '.join(ACTIONS)}, not `{kind}`")
    if kind != "lower_rate":
        if len(words) > 1:
            raise InvalidValue("gate.rules", rule, f"nothing after `{kind}`")
        return kind, None
    try:
        [factor] = [float(word) for word in words[1:]]
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1:
        raise InvalidValue("gate.rules", rule, "`lower_rate` with a factor between 0 and 1")
    return kind, factor
