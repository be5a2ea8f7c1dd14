"""`riverrun undo`: take text out of the weights again."""

from typing import TYPE_CHECKING, Any

import click

from riverrun.cli.tell import carry_through, command_options, operator

if TYPE_CHECKING:
    from learner.undo.plan import Plan
    from riverrun.settings import Settings

WAIT_S = 600.0


@click.command()
@command_options(WAIT_S)
@click.option("--topic", type=click.Choice(["raw"]), default="raw", help="Whose offsets these are.")
@click.option("--partition", type=click.IntRange(0), metavar="P", help="Of the raw topic.")
@click.option("--from", "first", type=click.IntRange(0), metavar="A", help="First raw offset.")
@click.option(
    "--to", "last", type=click.IntRange(0), metavar="B", help="Last raw offset, included."
)
@click.option("--source", metavar="NAME", help="All that was learned of this source, instead.")
@click.option("--version", metavar="VERSION", help="What it learned since its parent, instead.")
@click.option("--dry-run", is_flag=True, help="Say what it would take and change, and stop.")
def undo(
    settings: "Settings",
    topic: str,  # noqa: ARG001 - it says whose offsets; there is one such topic
    partition: int | None,
    first: int | None,
    last: int | None,
    source: str | None,
    version: str | None,
    dry_run: bool,
    reason: str,
    command_id: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Unlearn a range of raw offsets, a source, or what a version learned.

    Serving goes back at once to the newest version that has not seen it. Then the learner restores
    the state from before and learns the log again without it; the new line of versions is bit for
    bit that of a learner that never saw the text. Text that comes meanwhile waits.

    A source that is undone is in quarantine afterwards: `riverrun release NAME` trusts it again.
    """
    given = [value is not None for value in (partition, first, last)]
    if sum((any(given), source is not None, version is not None)) != 1:
        raise click.UsageError("name --partition, --from and --to; or --source; or --version")
    if any(given) and not all(given):
        raise click.UsageError("a range takes --partition, --from and --to")
    from riverrun.commands import RawRange, new_command

    ranges = []
    if partition is not None and first is not None and last is not None:
        if first > last:
            raise click.UsageError(f"--from {first} is behind --to {last}")
        ranges = [RawRange(partition=partition, first=first, last=last)]
    what: dict[str, Any] = {"ranges": ranges, "source": source, "version": version}
    if dry_run:
        _show(_planned(settings, what), as_json=as_json)
        return
    command = new_command("undo", operator(), reason=reason, **what)
    carry_through(settings, command, command_id, wait_s, as_json=as_json)


def _planned(settings: "Settings", what: dict[str, Any]) -> "Plan":
    from learner.undo.dry_run import plan_beside
    from riverrun.process import log_to_stderr
    from riverrun.records import LeftOut

    log_to_stderr("WARNING")
    ranges = [LeftOut(partition=r.partition, first=r.first, last=r.last) for r in what["ranges"]]
    return plan_beside(settings, ranges, what["source"], what["version"])


def _show(plan: "Plan", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(plan).decode())
        return
    base = f"the checkpoint of step {plan.base_step}" if plan.base_step else "the untouched model"
    about = "no step was timed yet" if plan.seconds is None else f"about {plan.seconds:,.0f} s"
    click.echo(f"{plan.num_documents:,} documents would be undone:")
    for one in plan.left_out:
        whose = f" of {one.source}" if one.source else ""
        click.echo(f"  raw {one.partition} @ {one.first}-{one.last}{whose}")
    click.echo(
        f"They were learned from step {plan.first_step:,} on. From {base}, at most "
        f"{plan.num_steps:,} steps are done again ({about}), up to step {plan.last_step:,}."
    )
    if plan.goes:
        num = len(plan.goes)
        who = "1 version" if num == 1 else f"{num:,} versions"
        until = "" if num == 1 else f" to {plan.goes[-1]}"
        click.echo(f"{who} saw some of it: {plan.goes[0]}{until}.")
    if plan.serve is not None:
        click.echo(f"Meanwhile serving would go back to {plan.serve}.")
    else:
        click.echo("No version from before still has weights: serving would stay where it is.")
    for source in plan.quarantine:
        click.echo(f"{source} would be in quarantine until `riverrun release {source}`.")
