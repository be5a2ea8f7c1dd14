"""The held-out curve of a pretraining: a part of the state, JSON lines, and a picture.

In the state, so that a run that was killed and goes on draws the curve of one that was not.
matplotlib is imported when a picture is drawn, and not needed for anything else.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from riverrun.workspace import replace_file


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """num_tokens: predicted until here. held_out_*: None without held-out text.

    training_loss: mean since the point before, nats a token, each taken before it was learned.
    """

    step: int
    num_tokens: int
    epoch: float
    rate: float
    training_loss: float | None
    held_out_loss: float | None
    held_out_bits_per_byte: float | None


class Curve(msgspec.Struct, kw_only=True):
    """nats, num_losses: of the new tokens since the last point."""

    points: list[Point] = msgspec.field(default_factory=list)
    nats: float = 0.0
    num_losses: int = 0

    def see(self, loss: float, num_tokens: int) -> None:
        if math.isfinite(loss):
            self.nats += loss * num_tokens
            self.num_losses += num_tokens

    def training_loss(self) -> float | None:
        """The mean since the last asking."""
        mean = self.nats / self.num_losses if self.num_losses else None
        self.nats, self.num_losses = 0.0, 0
        return mean


def write_lines(path: Path, points: Sequence[Point]) -> None:
    replace_file(path, b"".join(msgspec.json.encode(point) + b"\n" for point in points))


def draw(path: Path, points: Sequence[Point], title: str) -> None:
    """The losses over tokens as PNG. Raises ImportError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for label, values in (
        ("training, before learning", [point.training_loss for point in points]),
        ("held out", [point.held_out_loss for point in points]),
    ):
        known = [(p.num_tokens, v) for p, v in zip(points, values, strict=True) if v is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker=".", label=label)
    axes.set_xlabel("tokens")
    axes.set_ylabel("loss, nats a token")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    FigureCanvasAgg(figure).print_png(str(path))  # type: ignore[no-untyped-call]
