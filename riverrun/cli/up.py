"""`riverrun up`: the whole system, under one supervisor.

Turns signals into the system's stop, and its events into lines. The first Ctrl-C (or SIGTERM)
drains, a second one hurries.
"""

import signal
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings
    from riverrun.supervisor import Event


@click.command()
@settings_options()
@click.option("--detach", is_flag=True, help="Return when all is ready; `riverrun down` stops it.")
def up(settings: "Settings", detach: bool) -> None:
    """Start everything and keep it running: Kafka, stream, learner, serving.

    A process that crashes is started again. What each one says is in logs/ in the data directory.
    Ctrl-C finishes open answers, saves a checkpoint and stops; a second Ctrl-C hurries.
    """
    from riverrun.supervisor.model_fetch import fetch_model
    from riverrun.workspace import Workspace

    workspace = Workspace(settings.data_dir)
    with workspace.hold("up"):
        pass  # In use: said before anything is downloaded.
    fetch_model(settings.model)
    if not detach:
        raise click.exceptions.Exit(supervise(settings))

    from riverrun.supervisor.detach import detach as start_detached
    from riverrun.supervisor.detach import follow

    log = workspace.log_file("up")
    pid = start_detached(partial(supervise, settings), log)
    code = follow(pid, workspace, log, partial(click.echo, nl=False))
    if code:
        raise click.exceptions.Exit(code)
    click.echo(f"Runs on as process {pid}. Stop it with `riverrun down{_elsewhere(settings)}`.")


def supervise(settings: "Settings") -> int:
    """Run the system until it is told to stop, or gives up; the exit code."""
    from riverrun.cli.event_lines import EventLines
    from riverrun.errors import RiverrunError
    from riverrun.supervisor import System

    happened: SimpleQueue[int | None] = SimpleQueue()
    lines = EventLines(settings, _elsewhere(settings))

    def show(event: "Event") -> None:
        lines.show(event)
        if event.kind == "ended":
            happened.put(None)

    # Only a queue's `put` may be called in a signal handler: an Event's lock may be held below it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: happened.put(number))
    try:
        with System(settings, on_event=show) as system:
            stop = system.request_stop
            while happened.get() is not None:
                stop()
                stop = system.hurry
        if system.failure is not None:
            raise system.failure
    except RiverrunError as error:
        lines.fail(error)
        return error.exit_code
    return 0


def _elsewhere(settings: "Settings") -> str:
    """The option that other commands need to find this system."""
    default = type(settings).model_fields["data_dir"].default
    return "" if settings.data_dir == default else f" --data-dir {settings.data_dir}"
