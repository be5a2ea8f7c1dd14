"""When a crashed process may start again: exponential pauses, and an end to patience.

Pure arithmetic over times that the caller passes in. One `Restarts` a process; called by `System`.
"""

FIRST_PAUSE_S = 0.5
HEALTHY_AFTER_S = 60.0
WINDOW_S = 600.0
NEVER_READY_RESTARTS = 3
"""What fails this often before it was ever ready fails for a reason that waiting does not mend."""


class Restarts:
    """The restarts of one process."""

    def __init__(self, max_restarts: int, max_backoff_s: float) -> None:
        self.max_restarts = max_restarts
        self.max_backoff_s = max_backoff_s
        self.total = 0
        self._pause_s = FIRST_PAUSE_S
        self._times: list[float] = []

    def allowed(self, *, was_ready: bool) -> int:
        """How many restarts within ten minutes are put up with."""
        return self.max_restarts if was_ready else min(self.max_restarts, NEVER_READY_RESTARTS)

    def recent(self, now_s: float) -> int:
        """Restarts within the last ten minutes."""
        self._times = [t for t in self._times if now_s - t < WINDOW_S]
        return len(self._times)

    def pause_after(self, healthy_s: float, now_s: float, *, was_ready: bool) -> float | None:
        """The pause before the next start, seconds; None when it is time to give up.

        healthy_s: how long the process had been ready when it crashed.
        """
        if self.recent(now_s) >= self.allowed(was_ready=was_ready):
            return None
        if healthy_s >= HEALTHY_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s = min(self._pause_s, self.max_backoff_s)
        self._pause_s = min(self._pause_s * 2, self.max_backoff_s)
        self._times.append(now_s)
        self.total += 1
        return pause_s
