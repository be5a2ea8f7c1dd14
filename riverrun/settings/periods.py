"""A list of periods, which the command line and the environment give as text."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

SHORTEST_S, LONGEST_S = 1.0, 1e9


def _split(value: object) -> object:
    """`60,3600`, also in brackets, as a list."""
    if not isinstance(value, str):
        return value
    return [one for one in value.strip().strip("[]").split(",") if one.strip()]


def _limited(periods_s: tuple[float, ...]) -> tuple[float, ...]:
    if not all(SHORTEST_S <= period_s <= LONGEST_S for period_s in periods_s):
        raise ValueError("a period is out of range")
    return periods_s


Periods = Annotated[tuple[float, ...], BeforeValidator(_split), AfterValidator(_limited)]
"""Each from 1 to 1e9 seconds."""
