"""Settings of the gate: what is judged before a version is served, and what follows from it."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from riverrun.settings.gate_rules import parse
from riverrun.settings.section import Section

RULES = (
    # Weights that are not finite answer nothing, and no step mends them.
    "when broken_weights > 0 then hold, lower_rate 0.25, roll_back",
    # What is served stays within 1% of the best that was, also for the source that lost most.
    "when worst_ratio > 1.01 then hold",
    # A candidate that stays worse is pulled about by its updates: smaller ones first, then back.
    "when worst_ratio > 1.01 and rate_factor > 0.1 for 8 versions then lower_rate 0.5",
    "when worst_ratio > 1.03 for 24 versions then lower_rate 0.5, quarantine, roll_back",
    "when worst_ratio > 1.3 for 4 versions then lower_rate 0.25, quarantine, roll_back",
    # Without held-out text: what was just learned must at least be known better than before.
    "when learned_ratio > 1.01 then hold",
    "when learned_ratio > 1.1 for 4 versions then lower_rate 0.25, reset_optimizer, roll_back",
    # Skipped steps in a row: moments that overflow, or a rate that does.
    "when non_finite > 0 for 3 versions then lower_rate 0.5, reset_optimizer",
    # Gradients that explode do harm when the loss says so too.
    "when findings.exploding > 0 and worst_ratio > 1.01 and rate_factor > 0.1 "
    "then lower_rate 0.5, reset_optimizer",
    # A stall with steep gradients: the updates do not add up. With flat ones: a push.
    "when findings.plateau > 0 and rate_factor > 0.2 then lower_rate 0.5",
    "when findings.saddle > 0 and budget_used <= 0.6 then reset_optimizer, rewarm_rate",
    "when findings.vanishing > 0 then reset_optimizer",
    # Once it is well again for long, the rate comes back; also where no text is held out yet.
    "when rate_factor < 1 and budget_used <= 0.6 and worst_ratio <= 1.005 for 16 versions "
    "then rewarm_rate",
    "when rate_factor < 1 and budget_used <= 0.6 and learned_ratio <= 1.005 for 16 versions "
    "then rewarm_rate",
    # Old knowledge: slow down, stop repeating, serve no more, in this order. A rate below a tenth
    # saves nothing more, and new text would not be learned.
    "when budget_used > 0.6 and rate_factor > 0.1 for 2 versions then lower_rate 0.5",
    "when budget_used > 0.9 then stop_rehearsal",
    "when budget_used > 1 then hold",
    # What must never be said, and must still be known.
    "when lost.guardrails > 0 then hold",
    "when kept.guardrails < 0.7 then hold",
)
"""The default ones."""


def _split(value: object) -> object:
    """Rules after each other, as the command line and the environment give them."""
    if not isinstance(value, str):
        return value
    return [one.strip() for one in value.strip("[] ").split(";") if one.strip()]


def _parsed(rules: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(parse(rule).text for rule in rules)


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [one.strip() for one in value.strip("[]").split(",") if one.strip()]


def _absolute(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path.expanduser().absolute() for path in paths)


Rules = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_parsed)]
Files = Annotated[tuple[Path, ...], BeforeValidator(_listed), AfterValidator(_absolute)]


class GateSettings(Section):
    """What is judged before a version is served, and by which rules (docs/operations.md)."""

    rules: Rules = Field(
        RULES,
        description="What follows from which numbers, separated by `;` on the command line; "
        "`[]`: every version is promoted.",
    )
    more_rules: Rules = Field((), description="Rules of your own, beside those.")
    judging_share: float = Field(
        0.15,
        gt=0,
        le=1,
        description="Of the learner's time, what judging may cost. A version that cannot be paid "
        "for now is made a little later.",
    )
    panel_tokens: int = Field(
        2048,
        ge=16,
        le=10_000_000,
        description="Held-out tokens that each candidate is judged on at most; fewer where time "
        "is short. Beginnings of `least_texts` texts are read whatever they have.",
    )
    least_texts: int = Field(
        8,
        ge=1,
        le=1_000_000,
        description="Held-out texts below which losses are no evidence, and hold nothing back.",
    )
    control_file: Path | None = Field(
        None,
        description="Control text, one a line (plain, or JSON lines with `text`), whose "
        "perplexity must not rise. Unset: prose of our own (pretrained models).",
    )
    control_tokens: int = Field(
        128, ge=16, le=1_000_000, description="Of it, what each candidate is judged on."
    )
    max_control_ratio: float = Field(
        1.03,
        gt=1,
        le=100,
        description="Perplexity of control text over the untouched model's, at most "
        "(pretrained models).",
    )
    min_general_share: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="Knowledge probes passed over those that the untouched model passed, at least.",
    )
    probe_interval_s: float = Field(
        60.0,
        ge=0,
        le=1e9,
        description="Between two runs of a probe group, seconds; a group is skipped while the "
        "judging time does not suffice.",
    )
    probe_files: Files = Field(
        (), description="More probes, JSON lines (docs/operations.md says what a line holds)."
    )
