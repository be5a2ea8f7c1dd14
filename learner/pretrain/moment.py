"""Where a pretraining is after a step, for whoever looks on; and how fast it goes.

Knows nothing of how it is shown. Made by `run.py`, read by `riverrun pretrain`.
"""

import math
import time

import msgspec

from learner.pretrain.curve import Point


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run is after a step. share: of all of it. left_s: None before it can be told."""

    step: int
    share: float
    epoch: float
    num_tokens: int
    loss: float
    tokens_per_s: float
    left_s: float | None
    point: Point | None = None
    findings: list[str] = []


class Speed:
    """Of this process: a run that goes on does not count the time in which it lay still."""

    def __init__(self, share: float) -> None:
        self._began_at = time.monotonic()
        self._share = share
        self.tokens_per_s = 0.0
        self._seen_at = self._began_at

    def see(self, num_tokens: int) -> None:
        """A running mean over about the last ten seconds."""
        now = time.monotonic()
        took_s = max(1e-9, now - self._seen_at)
        self._seen_at = now
        speed = num_tokens / took_s
        kept = math.exp(-took_s / 10) if self.tokens_per_s else 0.0
        self.tokens_per_s = kept * self.tokens_per_s + (1 - kept) * speed

    def left_s(self, share: float) -> float | None:
        done = share - self._share
        if done <= 0:
            return None
        return (time.monotonic() - self._began_at) * (1 - share) / done
