"""`riverrun tail`: files that grow, as a producer.

Each line is a record, as for `riverrun produce`; the lines of a file stay in order, on one
partition. What was acknowledged is written down in the data directory, so that the next start goes
on there.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import settings_options
from riverrun.cli.produce import content_type

if TYPE_CHECKING:
    from riverrun.produce import RawProducer, Record
    from riverrun.settings import Settings
    from riverrun.tail import Follower, Positions

POLL_S = 0.2
SAVE_S = 1.0
MAX_HEADERS_BYTES = 4096


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@settings_options(running=True)
@click.option("--source", metavar="NAME", help="Whom the text is from.  [default: the file's name]")
@click.option("--from-end", is_flag=True, help="Leave out what a new file already holds.")
@click.option("--once", is_flag=True, help="Stop at the files' ends instead of following them.")
def tail(
    settings: "Settings", files: tuple[Path, ...], source: str | None, from_end: bool, once: bool
) -> None:
    """Follow the FILEs and send each new line to be learned, until Ctrl-C.

    Rotated and truncated files are noticed; a file may come into being later. After a crash some
    lines are sent again, none is left out.
    """
    from riverrun.process import log_to_stderr
    from riverrun.produce import RawProducer
    from riverrun.tail import Follower, Positions
    from riverrun.workspace import Workspace

    log_to_stderr(settings.log_level)
    for path in files:
        if path.is_dir():
            raise click.BadParameter(f"{path} is a directory", param_hint="FILE")
    directory = Workspace(settings.data_dir).directory("tail")
    with _alone(directory / "lock"):
        positions = Positions(directory / "positions.json")
        for path in files:
            _check_there(path, once and str(path.absolute()) not in positions.reached)
        followers = [
            Follower(
                path,
                positions,
                max_line_bytes=settings.kafka.max_record_bytes - MAX_HEADERS_BYTES,
                from_end=from_end,
            )
            for path in files
        ]
        stop = _stop_on_signals()
        with contextlib.ExitStack() as stack:
            for follower in followers:
                stack.callback(follower.close)
            producer = stack.enter_context(RawProducer(settings))
            _follow(followers, source, positions, producer, stop, once)
            _save(producer, positions)
        for follower in followers:
            if follower.num_waiting_bytes:
                click.echo(
                    f"{follower.path}: its last line ({follower.num_waiting_bytes} bytes) has no "
                    "end yet and was not sent",
                    err=True,
                )
        num_records = producer.receipt.num_records
        click.echo(f"{num_records} record{'' if num_records == 1 else 's'} acknowledged")


def _check_there(path: Path, needed: bool) -> None:
    """Nobody waits an hour for a name with a letter wrong."""
    if path.exists():
        return
    if needed:
        raise click.BadParameter(f"{path}: no such file", param_hint="FILE")
    click.echo(f"{path} is not there; it is followed when it comes", err=True)


def _follow(
    followers: "list[Follower]",
    source: str | None,
    positions: "Positions",
    producer: "RawProducer",
    stop: threading.Event,
    once: bool,
) -> None:
    import time

    saved_at = time.monotonic()
    num_told = dict.fromkeys(followers, 0)
    while not stop.is_set():
        given = False
        for follower in followers:
            for line in follower.lines():
                given = True
                if line.strip():
                    producer.send(_record(line, source or follower.path.name))
                if stop.is_set():
                    break
                if time.monotonic() - saved_at > SAVE_S:
                    _save(producer, positions)
                    saved_at = time.monotonic()
            if follower.num_too_long > num_told[follower]:
                num_told[follower] = follower.num_too_long
                click.echo(
                    f"{follower.path}: {follower.num_too_long} lines were longer than "
                    "kafka.max_record_bytes and not sent",
                    err=True,
                )
        if not given:
            _save(producer, positions)
            if once:
                return
            stop.wait(POLL_S)


def _save(producer: "RawProducer", positions: "Positions") -> None:
    producer.flush()
    positions.save()


def _record(line: bytes, source: str) -> "Record":
    from riverrun.produce import Record

    name = source[:200]
    return Record(line, source=name, key=name.encode(), content_type=content_type(line))


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two that follow from one data directory would overwrite each other's positions."""
    from riverrun.errors import DataDirInUse
    from riverrun.workspace import lock_within

    with path.open("a+") as file:
        if not lock_within(file, 1.0):
            raise DataDirInUse(
                f"{path.parent.parent} is in use: `riverrun tail` runs there already; name all "
                "files in one command, or another --data-dir"
            )
        yield


def _stop_on_signals() -> threading.Event:
    import signal

    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            # On a thread of its own, as in `riverrun.process`.
            signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
    return stop
