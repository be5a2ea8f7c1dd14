"""From numbers to what follows: the declared rules, applied to one judged version.

Knows nothing of weights or time. Called by `gate.py`; the rules' text is `settings/gate_rules.py`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from learner.actions import Action, Kind
from riverrun.settings.gate_rules import Rule, parse

VERDICTS: tuple[Kind, ...] = ("roll_back", "hold", "promote")
"""What becomes of the version; an earlier one outweighs a later one."""


class Verdict(NamedTuple):
    """kind: one of `VERDICTS`. actions: all others, each once. reasons: texts of rules that fired.

    streaks: by rule, for how many judged versions in a row it holds now.
    """

    kind: Kind
    actions: list[Action]
    reasons: list[str]
    streaks: dict[str, int]


def rules_of(texts: Sequence[str]) -> list[Rule]:
    """Raises InvalidValue."""
    return [parse(text) for text in texts]


def verdict(
    rules: Sequence[Rule],
    numbers: Mapping[str, float],
    streaks: Mapping[str, int],
    blamed: Sequence[str] = (),
) -> Verdict:
    """What the rules say of a version with `numbers`. blamed: the sources to quarantine."""
    found = Verdict("promote", [], [], {})
    kind: Kind = "promote"
    for rule in rules:
        if not rule.holds(numbers):
            continue
        streak = found.streaks[rule.text] = streaks.get(rule.text, 0) + 1
        stays = rule.num_versions is None or streak >= rule.num_versions
        comes = streak == 1 if rule.num_versions is None else streak % rule.num_versions == 0
        if stays or comes:
            found.reasons.append(rule.text)
        for name, factor in rule.actions:
            if name == "hold":
                if stays and kind == "promote":
                    kind = "hold"
            elif name == "roll_back":
                if comes:
                    kind = "roll_back"
            elif stays if name == "stop_rehearsal" else comes:
                _add(found.actions, name, factor, blamed)
    return found._replace(kind=kind)


def _add(actions: list[Action], name: str, factor: float | None, blamed: Sequence[str]) -> None:
    """One action of a kind: the strongest of two factors, each source once."""
    match name:
        case "lower_rate":
            others = [a for a in actions if a.kind == "lower_rate"]
            least = min([factor or 1.0, *(a.numbers["factor"] for a in others)])
            actions[:] = [a for a in actions if a.kind != "lower_rate"]
            actions.append(Action(kind="lower_rate", numbers={"factor": least}))
        case "quarantine":
            known = {a.subject for a in actions if a.kind == "quarantine"}
            actions += [Action(kind="quarantine", subject=s) for s in blamed if s not in known]
        case "rewarm_rate" | "reset_optimizer" | "stop_rehearsal" as kind:
            if all(a.kind != kind for a in actions):
                actions.append(Action(kind=kind))
