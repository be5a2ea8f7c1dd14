"""`riverrun dead-letters`: what was rejected, why, and how to send it back after a fix."""

import base64
import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.dead_letters.letters import Letter, Original, Place
    from riverrun.settings import Settings

FEEDBACK = "feedback:"
"""Before the coordinates of a letter that is of `feedback`; else they are of `raw`."""


class ListByDefault(click.Group):
    """A group whose first command is meant when none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def dead_letters() -> None:
    """List what was rejected; count it by reason, show it whole, send it back.

    Without a command: the newest letters, or `--by-reason` their counts.
    """


@dead_letters.command("list")
@settings_options(running=True)
@click.option("--by-reason", is_flag=True, help="Count them by reason instead.")
@click.option("--reason", metavar="NAME", help="Only those with this reason.")
@click.option("--source", metavar="NAME", help="Only those of this source.")
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, metavar="N")
@json_option
def list_(
    settings: "Settings",
    by_reason: bool,
    reason: str | None,
    source: str | None,
    last: int,
    as_json: bool,
) -> None:
    """List the newest dead letters, oldest first."""
    from collections import Counter, deque

    from riverrun.dead_letters.letters import DeadLetters

    with DeadLetters(settings) as letters:
        chosen = (one for one in letters.letters() if _fits(one, reason, source))
        if by_reason:
            counts = Counter(one.rejection.reason for one in chosen)
            _print_counts(dict(counts.most_common()), as_json)
            return
        newest = deque(chosen, maxlen=last)
    if as_json:
        click.echo(json.dumps([_row(one) for one in newest], indent=2))
    elif newest:
        _print(newest)
    else:
        click.echo("no dead letters")


@dead_letters.command()
@settings_options(running=True)
@click.argument("place", metavar="[feedback:]PARTITION:OFFSET")
@json_option
def show(settings: "Settings", place: str, as_json: bool) -> None:
    """Show the letters of one record, and the whole record while its topic still has it."""
    from riverrun.dead_letters.letters import DeadLetters

    topic = "feedback" if place.startswith(FEEDBACK) else "raw"
    wanted = _place(place.removeprefix(FEEDBACK))
    with DeadLetters(settings) as letters:
        found = [one for one in letters.letters() if (one.topic, one.place) == (topic, wanted)]
        original = letters.original(wanted, topic)
    if as_json:
        shown = None if original is None else _original(original)
        click.echo(json.dumps({"letters": [_row(one) for one in found], "record": shown}, indent=2))
        return
    for one in found:
        click.echo(f"{one.rejection.reason}: {one.rejection.detail}")
    if not found:
        click.echo("no dead letter has these coordinates")
    if original is None:
        click.echo(f"the record itself is not in `{topic}` any more")
        return
    click.echo(f"key: {_text(original.key)}")
    for name, value in original.headers:
        click.echo(f"{name}: {_text(value)}")
    click.echo()
    click.echo("(null)" if original.value is None else original.value)


@dead_letters.command("send-back")
@settings_options(running=True)
@click.argument("places", nargs=-1, metavar="[PARTITION:OFFSET…]")
@click.option("--reason", metavar="NAME", help="All with this reason.")
@click.option("--source", metavar="NAME", help="All of this source.")
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@click.option("--force", is_flag=True, help="Also what was sent back before.")
@click.option("--dry-run", is_flag=True, help="Only say which records would be sent.")
@json_option
def send_back(
    settings: "Settings",
    places: tuple[str, ...],
    reason: str | None,
    source: str | None,
    everything: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the records behind dead letters to `raw` again, each once.

    Mend the producer's format or the profile first: what is wrong as before comes back as a new
    letter. A second send-back of the same record does nothing, unless forced. Feedback is not text,
    and is never sent: its producer writes it anew.
    """
    from riverrun.dead_letters.letters import NOTES, DeadLetters
    from riverrun.dead_letters.send_back import send_back as send_again

    if not places and reason is None and source is None and not everything:
        raise click.UsageError("name PARTITION:OFFSET, --reason, --source or --all")
    if reason in NOTES:
        raise click.BadParameter(f"{reason} stands for no lost text", param_hint="--reason")
    wanted = [_place(place) for place in places]
    with DeadLetters(settings) as letters:
        if not wanted:
            wanted = sorted(
                one.place
                for one in letters.letters()
                if _fits(one, reason, source) and one.is_lost_text
            )
        if dry_run:
            before = set() if force else letters.sent_back()
            click.echo("".join(f"{p}:{o}\n" for p, o in wanted if (p, o) not in before), nl=False)
            return
        result = send_again(letters, wanted, force=force)
    if as_json:
        sent = {f"{p}:{o}": f"{to[0]}:{to[1]}" for (p, o), to in result.sent.items()}
        others = {
            "before": [f"{p}:{o}" for p, o in result.before],
            "gone": [f"{p}:{o}" for p, o in result.gone],
        }
        click.echo(json.dumps({"sent": sent, **others}, indent=2))
        return
    click.echo(f"{len(result.sent)} sent back")
    if result.before:
        click.echo(f"{len(result.before)} were sent back before (--force sends them again)")
    if result.gone:
        click.echo(f"{len(result.gone)} are not in `raw` any more", err=True)


@dead_letters.command()
@settings_options(running=True)
@click.argument("source")
def resume(settings: "Settings", source: str) -> None:
    """End the pause of SOURCE (`*`: of every source) at the present end of `raw`.

    Its documents from before are dead letters (`paused`): `send-back --reason paused`.
    """
    from riverrun.dead_letters.resume import resume as end_pause

    marks = end_pause(settings, source)
    where = ", ".join(f"{partition}:{offset}" for partition, offset in sorted(marks.items()))
    named = "every source" if source == "*" else repr(source)
    click.echo(f"{named} flows from {where} on; what was held back before is sent with")
    chosen = "" if source == "*" else f" --source {shlex.quote(source)}"
    click.echo(f"  riverrun dead-letters send-back --reason paused{chosen}")


def _fits(letter: "Letter", reason: str | None, source: str | None) -> bool:
    rejection = letter.rejection
    return reason in (None, rejection.reason) and source in (None, rejection.source)


def _place(text: str) -> "Place":
    partition, colon, offset = text.partition(":")
    if not colon or not partition.isdecimal() or not offset.isdecimal():
        raise click.BadParameter(f"{text!r} is not PARTITION:OFFSET, as in 2:117")
    return int(partition), int(offset)


def _named(letter: "Letter") -> str:
    """The coordinates as `show` takes them."""
    prefix = FEEDBACK if letter.topic == "feedback" else ""
    return f"{prefix}{letter.place[0]}:{letter.place[1]}"


def _row(letter: "Letter") -> dict[str, Any]:
    rejection = letter.rejection
    return {
        "place": _named(letter),
        "reason": rejection.reason,
        "detail": rejection.detail,
        "source": rejection.source,
        "topic": rejection.topic,
        "num_bytes": rejection.num_bytes,
        "timestamp_ms": rejection.timestamp_ms,
        "head": base64.b64encode(rejection.head).decode(),
    }


def _original(original: "Original") -> dict[str, Any]:
    """Bytes as base64: what was rejected may be no text."""

    def coded(value: bytes | None) -> str | None:
        return None if value is None else base64.b64encode(value).decode()

    return {
        "timestamp_ms": original.timestamp_ms,
        "key": coded(original.key),
        "headers": [[name, coded(value)] for name, value in original.headers],
        "value": coded(original.value),
    }


def _text(value: bytes | None) -> str:
    return "-" if value is None else value.decode("utf-8", "backslashreplace")


def _print_counts(counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(counts, indent=2))
        return
    for reason, count in counts.items():
        click.echo(f"{count:>9,}  {reason}")
    if not counts:
        click.echo("no dead letters")


def _print(letters: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("place", "reason", "source", "bytes", "detail", "begins"):
        table.add_column(name, justify="right" if name == "bytes" else "left", no_wrap=True)
    for letter in letters:
        rejection = letter.rejection
        table.add_row(
            _named(letter),
            Text(rejection.reason, "bold"),
            Text(rejection.source or "-"),
            f"{rejection.num_bytes:,}",
            Text(rejection.detail[:100]),
            Text(repr(rejection.head[:40])[1:], "dim"),
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=250)
    console.print(table)
