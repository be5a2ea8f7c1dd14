"""`riverrun down`: stop what runs in a data directory, and wait for its end."""

from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings

NUM_PROCESSES = 4


@click.command()
@settings_options(running=True)
def down(settings: "Settings") -> None:
    """Stop a running system, detached or not, and wait for its end.

    Open answers finish and the learner saves a checkpoint first.
    """
    from riverrun.supervisor.running import stop_running
    from riverrun.workspace import Workspace

    # The supervisor kills what takes longer, so this only ends early when it hangs itself.
    timeout_s = (NUM_PROCESSES + 1) * settings.supervisor.stop_timeout_s
    stop_running(Workspace(settings.data_dir), timeout_s, click.echo)
    click.echo("stopped")
