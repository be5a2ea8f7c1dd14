"""`riverrun produce`: lines of text, or JSON lines, to the raw topic.

One line is one record, its bytes as they are: what is no text becomes a dead letter, with its
reason, in the stream. Says on stdout where Kafka has put them.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from riverrun.cli.options import as_json as as_json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.produce import Receipt, Record
    from riverrun.settings import Settings

JSON = "application/json"
PLAIN = "text/plain"


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE…|-]", type=click.Path(path_type=Path))
@settings_options(running=True)
@click.option("--source", metavar="NAME", help="Whom the text is from (1 to 200 characters).")
@click.option("--key", help="The records' key: they stay in order, on one partition.")
@as_json_option
def produce(
    settings: "Settings",
    files: tuple[Path, ...],
    source: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Send each line of the FILEs (none or `-`: standard input) to be learned.

    A line is text, or a JSON object with a `text`, with `messages`, or with `prompt` and
    `completion` (and `source`, `id`, `timestamp`, `language`). Blank lines are skipped.
    """
    from riverrun.produce import RawProducer

    _check_source(source)
    with ExitStack() as stack:
        inputs = [_open(path, stack) for path in files or (Path("-"),)]
        lines = Lines(inputs, source, None if key is None else key.encode())
        progress = stack.enter_context(Progress())
        producer = RawProducer(settings, on_ack=progress.show)
        try:
            with producer:
                for record in lines:
                    producer.send(record)
        finally:
            # What was acknowledged is said even when the rest failed: it will be learned.
            progress.hide()
            _print(producer.receipt, lines.num_blank, as_json)


class Lines:
    """The records that lines of files hold; counts the blank ones."""

    def __init__(self, inputs: list[IO[bytes]], source: str | None, key: bytes | None) -> None:
        self._inputs = inputs
        self._source = source
        self._key = key
        self.num_blank = 0

    def __iter__(self) -> Iterator["Record"]:
        from riverrun.produce import Record

        for lines in self._inputs:
            for line in lines:
                value = line.rstrip(b"\r\n")
                if not value.strip():
                    self.num_blank += 1
                    continue
                yield Record(
                    value, source=self._source, key=self._key, content_type=content_type(value)
                )


def content_type(value: bytes) -> str | None:
    """What a line that begins with `{` is. Said, since the stream takes any object for JSON."""
    if not value.lstrip().startswith(b"{"):
        return None
    from riverrun.records import RAW_FORMS

    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        return PLAIN
    is_record = any(name in fields for form in RAW_FORMS for name in form)
    return JSON if is_record else PLAIN


class Progress:
    """A spinner with the count on a terminal's stderr; nothing elsewhere."""

    def __init__(self) -> None:
        self._status: Any = None

    def __enter__(self) -> "Progress":
        from rich.console import Console

        console = Console(stderr=True)
        if console.is_terminal:
            self._status = console.status("sending …")
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def show(self, receipt: "Receipt") -> None:
        num_records = receipt.num_records
        if self._status is not None and (num_records % 100 == 0 or num_records < 100):
            self._status.update(f"{num_records:,} records acknowledged")

    def hide(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _open(path: Path, stack: ExitStack) -> IO[bytes]:
    if str(path) == "-":
        return click.get_binary_stream("stdin")
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="FILE") from None


def _check_source(source: str | None) -> None:
    if source is not None and not (0 < len(source.strip()) <= 200 and source.isprintable()):
        raise click.BadParameter(
            f"{source[:100]!r} is no name; it takes 1 to 200 printable characters",
            param_hint="--source",
        )


def _print(receipt: "Receipt", num_blank: int, as_json: bool) -> None:
    partitions = sorted(receipt.partitions.items())
    if as_json:
        offsets = {
            str(partition): {"first": at.first, "last": at.last, "records": at.num_records}
            for partition, at in partitions
        }
        click.echo(
            json.dumps(
                {
                    "topic": receipt.topic,
                    "records": receipt.num_records,
                    "blank_lines": num_blank,
                    "partitions": offsets,
                }
            )
        )
        return
    for partition, at in partitions:
        plural = "" if at.num_records == 1 else "s"
        click.echo(
            f"{receipt.topic} {partition}: {at.first}..{at.last} ({at.num_records} record{plural})"
        )
    if not partitions:
        click.echo("no records")
    if num_blank:
        click.echo(f"{num_blank} blank line{'' if num_blank == 1 else 's'} skipped", err=True)
