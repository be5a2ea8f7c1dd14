"""How often a watch may compute: its work, in trained tokens, stays below a share of the training.

By tokens and not by the clock, so that a step that is done again measures the same. A forward pass
alone costs about a third of a trained token (forward and backward). The share is a setting, and no
part of what a checkpoint keeps: a restart with another one goes on with what was saved.
"""

import msgspec

FORWARD = 1 / 3
"""Cost of a token run forward only, in trained tokens."""


class Allowance(msgspec.Struct):
    """saved: trained tokens' worth of work that may be done now."""

    saved: float = 0.0

    def earn(self, num_trained: int, share: float) -> None:
        self.saved += share * num_trained

    def spend(self, cost: float) -> bool:
        """Whether `cost` was saved; then it is spent. The balance never falls below none."""
        if cost > self.saved:
            return False
        self.saved -= cost
        return True

    def cap(self, most: float) -> None:
        """No more than `most` may be saved up: quiet hours do not pay for a storm."""
        self.saved = min(self.saved, most)
