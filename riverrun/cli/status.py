"""`riverrun status`: how the system stands, once or live.

`riverrun/status.py` gathers, `status_view.py` draws.
"""

import sys
import time
from typing import TYPE_CHECKING

import click

from riverrun.cli.options import as_json as json_option
from riverrun.cli.options import settings_options

if TYPE_CHECKING:
    from riverrun.settings import Settings
    from riverrun.status import Observer


@click.command()
@settings_options(running=True)
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C; with --json, one line a look.")
@click.option(
    "--interval-s",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Time between two looks of --watch.",
)
@json_option
def status(settings: "Settings", watch: bool, interval_s: float, as_json: bool) -> None:
    """Show what runs, learns and serves.

    Exit code 1 when nothing runs in the data directory.
    """
    import msgspec

    from riverrun.status import Observer

    with Observer(settings) as observer:
        if as_json:
            while True:
                line = msgspec.json.encode(observer.look())
                click.echo(line if watch else msgspec.json.format(line, indent=2))
                sys.stdout.flush()
                if not watch:
                    return
                time.sleep(interval_s)
        elif watch:
            _watch(observer, interval_s)
        else:
            from rich.console import Console

            from riverrun.cli.status_view import History, draw

            now = observer.look()
            Console(highlight=False).print(draw(now, History()))


def _watch(observer: "Observer", interval_s: float) -> None:
    """Redraw on a terminal; elsewhere one line a look. Outlives the system that it watches."""
    from rich.console import Console
    from rich.live import Live

    from riverrun.cli.status_view import History, absent, draw, one_line
    from riverrun.errors import NotRunning

    console = Console(highlight=False)
    history = History()
    history.add(observer.look())
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while True:
            try:
                now = observer.look()
            except NotRunning as error:
                if not console.is_terminal:
                    raise
                live.update(absent(str(error)), refresh=True)
            else:
                history.add(now)
                if console.is_terminal:
                    live.update(draw(now, history), refresh=True)
                else:
                    console.print(one_line(now), soft_wrap=True)
            time.sleep(interval_s)
