"""What the benches share: numbers by commas come in, figures go out as JSON or as a table."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from riverrun.errors import InvalidValue

Number = TypeVar("Number", int, float)

json_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures there.",
)


def write_figures(json_file: Path | None, figures: Any) -> None:
    """The figures as JSON, where a file is asked for."""
    import msgspec

    from riverrun.workspace import replace_file

    if json_file is not None:
        replace_file(json_file.absolute(), msgspec.json.encode(figures))


def echo_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Names to the left, figures to the right."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        click.echo("  ".join(cells).rstrip())


def numbers(
    option: str,
    given: str,
    kind: Callable[[str], Number],
    is_allowed: Callable[[Number], bool],
    allowed: str,
) -> list[Number]:
    """Raises InvalidValue for what is no number, and for one that is not allowed."""
    try:
        found = [kind(one) for one in given.split(",")]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise InvalidValue(option, given, f"{what}, by commas") from None
    if not all(map(is_allowed, found)):
        raise InvalidValue(option, given, allowed)
    return found
