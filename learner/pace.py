"""The learning rate of each update: a warm-up, then constant, and what the gate made of it.

A stream has no end that a schedule could fall towards, and averaged weights give what a falling
rate would (arXiv:2602.03702). Re-warming by itself forgets (arXiv:2503.02844), so after the first
warm-up there is another only when the gate asks for it.

Knows nothing of optimizers. Part of the state; read by `step.py`, changed by the gate.
"""

from collections.abc import Sequence

import msgspec

from learner.part import Snapshot


class Tempo(msgspec.Struct, kw_only=True):
    """factor: of the recipe's rate. warm_from: the update at which the warm-up began."""

    factor: float = 1.0
    warm_from: int = 0


class Pace:
    """The rate by the number of the update."""

    def __init__(self, lr: float, warmup_steps: int) -> None:
        self._lr = lr
        self._warmup_steps = warmup_steps
        self.tempo = Tempo()

    def share(self, num_updates: int) -> float:
        """Of each parameter group's own peak rate, at update number `num_updates` (from 0)."""
        done = num_updates - self.tempo.warm_from + 1
        return self.tempo.factor * min(1.0, done / max(1, self._warmup_steps))

    def rate(self, num_updates: int) -> float:
        """Of AdamW's matrices."""
        return self._lr * self.share(num_updates)

    def lower(self, factor: float) -> None:
        """Go on with `factor` times the rate of now."""
        self.tempo.factor *= factor

    def rewarm(self, num_updates: int) -> None:
        """Back to the recipe's rate, by a warm-up that begins with update `num_updates`."""
        self.tempo = Tempo(warm_from=num_updates)

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        return Snapshot({}, msgspec.json.encode(self.tempo))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        self.tempo = msgspec.json.decode(snapshots[-1].facts, type=Tempo)
