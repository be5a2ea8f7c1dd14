"""`riverrun tell`, `release` and `quarantine`: what operators tell the learner.

Each writes one command and waits for the learner's answer. `undo.py` has the largest one.
"""

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.commands import Command
    from riverrun.settings import Settings

WAIT_S = 30.0


def command_options(wait_s: float = WAIT_S) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What every command takes: why, how long to wait, and an id that makes a retry harmless."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            json_option,
            click.option("--id", "command_id", metavar="ID", help="Acts once however often sent."),
            click.option(
                "--wait",
                "wait_s",
                type=click.FloatRange(0, 86_400),
                default=wait_s,
                show_default=True,
                metavar="SECONDS",
                help="How long to wait for the learner's answer.",
            ),
            click.option("--reason", default="", help="For the audit log."),
        ):
            command = option(command)
        return settings_options(running=True)(command)

    return decorate


def carry_through(
    settings: "Settings",
    command: "Command",
    command_id: str | None,
    wait_s: float,
    *,
    as_json: bool,
) -> None:
    """Send it, wait, and print the answer. Raises Refused."""
    import msgspec

    from riverrun.tell import tell as send

    if command_id is not None:
        command = msgspec.structs.replace(command, id=command_id)
    event = send(settings, command, wait_s)
    if as_json:
        told = {"command": command.id, "event": msgspec.to_builtins(event) if event else None}
        click.echo(msgspec.json.encode(told).decode())
    elif event is None:
        click.echo(
            f"{command.kind} is written (id {command.id}), and not answered within {wait_s:g} s: "
            f"it is done as soon as the learner comes to it. Look for the id in `riverrun versions`"
            f" or send it again with --id {command.id}."
        )
    else:
        about = f" {event.subject}" if event.subject else ""
        click.echo(f"{event.kind}{about}: {event.version or 'no version'} ({event.reason})")


def operator() -> str:
    """Who asks, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


@click.group()
def tell() -> None:
    """Command the learner: promote, hold, release, roll-back, pause, resume."""


@tell.command()
@command_options()
@click.argument("version")
def promote(settings: "Settings", version: str, reason: str, **order: Any) -> None:
    """Serve VERSION now. The next good version is promoted as ever, unless `hold` was told."""
    _send(settings, "promote", reason, order, version=version)


@tell.command()
@command_options()
def hold(settings: "Settings", reason: str, **order: Any) -> None:
    """Promote nothing until `release`; learning goes on."""
    _send(settings, "hold", reason, order)


@tell.command()
@command_options()
def release(settings: "Settings", reason: str, **order: Any) -> None:
    """Promote versions again, the newest one at once."""
    _send(settings, "release", reason, order)


@tell.command(name="roll-back")
@command_options()
@click.argument("version", required=False)
def roll_back(settings: "Settings", version: str | None, reason: str, **order: Any) -> None:
    """Serve VERSION (default: the one before the served one), and hold."""
    _send(settings, "roll_back", reason, order, version=version)


@tell.command()
@command_options()
def pause(settings: "Settings", reason: str, **order: Any) -> None:
    """Learn nothing until `resume`; text waits in Kafka."""
    _send(settings, "pause", reason, order)


@tell.command()
@command_options()
def resume(settings: "Settings", reason: str, **order: Any) -> None:
    """Learn again."""
    _send(settings, "resume", reason, order)


@click.command(name="release")
@command_options()
@click.argument("source")
def release_source(settings: "Settings", source: str, reason: str, **order: Any) -> None:
    """Trust SOURCE again: what the quarantine kept of it is learned now."""
    _send(settings, "release_source", reason, order, source=source)


@click.command()
@command_options()
@click.argument("source")
def quarantine(settings: "Settings", source: str, reason: str, **order: Any) -> None:
    """Learn nothing of SOURCE until `release`; its text is kept."""
    _send(settings, "quarantine_source", reason, order, source=source)


def _send(settings: "Settings", kind: Any, reason: str, order: Any, **what: Any) -> None:
    from riverrun.commands import new_command

    command = new_command(kind, operator(), reason=reason, **what)
    carry_through(settings, command, order["command_id"], order["wait_s"], as_json=order["as_json"])
