"""Whether and when a failed call is tried again.

Every call of ours may be: answers change nothing, feedback and commands carry an id. So a call goes
again when the server says when (RetryInfo), or cannot be reached. What the caller must mend, and
what has begun to arrive, is never tried again. Called by both clients.
"""

import random
import time

from riverrun.errors import RequestFailed

DEFAULT_RETRIES = 2
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Retry:
    """The tries of one call, within `timeout_s` seconds from now."""

    def __init__(self, retries: int, timeout_s: float | None) -> None:
        self._left = retries
        self._pause_s = FIRST_PAUSE_S
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        """What is left of the call's time; None for no bound."""
        if self._deadline is None:
            return None
        return max(0.001, self._deadline - time.monotonic())

    def pause_s(self, failure: RequestFailed) -> float:
        """How long to wait before the next try.

        Raises:
            RequestFailed: `failure` itself, when there is to be none.
        """
        if failure.retry_after_s is not None:
            # Those who were told the same time must not all come back at once.
            pause_s = failure.retry_after_s * random.uniform(1.0, 1.25)
        elif failure.code == "UNAVAILABLE":
            pause_s = self._pause_s * random.uniform(0.75, 1.25)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        else:
            raise failure
        left_s = self.left_s
        if self._left == 0 or (left_s is not None and pause_s >= left_s):
            raise failure
        self._left -= 1
        return pause_s
