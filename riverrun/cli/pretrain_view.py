"""A pretraining on the screen: a bar on a terminal, a line now and then elsewhere.

rich is imported for the bar alone. Called by `pretrain.py`.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from learner.pretrain.run import Moment

LINE_S = 10.0


class View:
    """Use as a context manager. is_terminal: of stderr, where all of this goes."""

    def __init__(self, is_terminal: bool | None = None) -> None:
        self._is_terminal = sys.stderr.isatty() if is_terminal is None else is_terminal
        self._line_at = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "View":
        if self._is_terminal:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>5.1f}%  {task.description}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task("begins", total=1.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, moment: "Moment") -> None:
        for finding in moment.findings:
            self.say(f"step {moment.step}: {finding}")
        point = moment.point
        if point is not None and point.held_out_bits_per_byte is not None:
            self.say(
                f"step {point.step}: held out {point.held_out_loss:.3f} nats a token, "
                f"{point.held_out_bits_per_byte:.3f} bits a byte"
            )
        if self._bar is not None:
            self._bar.update(self._task, completed=moment.share, description=described(moment))
        elif time.monotonic() >= self._line_at or moment.share >= 1.0:
            self._line_at = time.monotonic() + LINE_S
            click.echo(f"{moment.share:6.1%}  {described(moment)}", err=True)

    def say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            click.echo(line, err=True)


def described(moment: "Moment") -> str:
    left = "" if moment.left_s is None else f"  {clock(moment.left_s)} left"
    return (
        f"step {moment.step}  epoch {moment.epoch:.2f}  {moment.num_tokens:,} tokens  "
        f"{moment.tokens_per_s:,.0f} tokens/s  loss {moment.loss:.3f}{left}"
    )


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
