"""`riverrun broker`, `stream`, `learner` and `serving`: one process, in the foreground.

What `riverrun up` starts, and what production runs under its own supervisor. Each package is
imported when its command runs: none of them may pay for another's libraries.
"""

from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings


@click.command()
@settings_options(running=True)
def broker(settings: "Settings") -> None:
    """Run an Apache Kafka on loopback, its data kept in the data directory."""
    from riverrun.broker.main import run

    run(settings)


@click.command()
@settings_options(running=True)
def stream(settings: "Settings") -> None:
    """Run one worker that cleans raw text; more of them share the partitions."""
    from stream.main import run

    run(settings)


@click.command()
@settings_options(running=True)
def learner(settings: "Settings") -> None:
    """Run the learner, the only process that changes weights."""
    from learner.main import run

    run(settings)


@click.command()
@settings_options(running=True)
def serving(settings: "Settings") -> None:
    """Run the gRPC server, which follows the promoted versions."""
    from serving.main import run

    run(settings)
