"""`riverrun doctor`: what this machine has and lacks. `riverrun/checkup.py` looks."""

from typing import TYPE_CHECKING

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings


@click.command()
@settings_options(running=True)
@json_option
def doctor(settings: "Settings", as_json: bool) -> None:
    """Say what is missing on this machine and how to get it.

    Exit code 1 when something is missing that `riverrun up` needs.
    """
    import msgspec

    from riverrun.checkup import check_machine

    checks = list(check_machine(settings))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(checks), indent=2))
    else:
        marks = {"ok": ("✓", "green"), "later": ("·", "yellow"), "missing": ("✗", "red")}
        width = max(len(check.name) for check in checks)
        for check in checks:
            mark, colour = marks[check.result]
            click.echo(f"{click.style(mark, fg=colour)} {check.name:<{width}}  {check.found}")
            if check.remedy:
                click.echo(f"  {'':<{width}}  → {check.remedy}")
    if any(check.result == "missing" for check in checks):
        raise click.exceptions.Exit(1)
