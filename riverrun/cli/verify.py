"""`riverrun verify`: do the log again and compare hashes."""

from typing import TYPE_CHECKING

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options
from riverrun.environment import prepare_to_learn
from riverrun.priority import step_back

if TYPE_CHECKING:
    from riverrun.settings import Settings


@click.command()
@settings_options(running=True)
@click.option(
    "--from",
    "first",
    metavar="VERSION",
    help="The oldest to compare.  [default: as far as it goes]",
)
@click.option("--to", "last", metavar="VERSION", help="The newest.  [default: the promoted one]")
@json_option
def verify(settings: "Settings", first: str | None, last: str | None, as_json: bool) -> None:
    """Rebuild versions from the log, beside a running system, and compare their hashes.

    Does the journal's steps again, with the same text out of Kafka, from a checkpoint at or before
    the first version. Ends with exit code 1 at the first version that differs.
    """
    import sys

    prepare_to_learn()
    step_back(settings.learner.nice)
    from learner.verify import verify as compare
    from riverrun.process import log_to_stderr

    log_to_stderr("WARNING")
    is_shown = sys.stderr.isatty()

    def show(done: int, to_do: int, version: str | None) -> None:
        if is_shown:
            click.echo(f"\r{done:,} of {to_do:,} steps ", nl=False, err=True)
        if version is not None and not as_json:
            if is_shown:
                click.echo("\r", nl=False, err=True)
            click.echo(f"{version}  equal")

    found = compare(settings, first, last, show)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found).decode())
    else:
        origin = (
            f"the checkpoint of step {found.from_step}"
            if found.from_step
            else "the untouched model"
        )
        click.echo(
            f"{len(found.versions)} versions are bit for bit what the log gives: "
            f"{found.num_steps:,} steps, {found.num_documents:,} documents, from {origin}"
        )
