"""How much may be open at once: in requests, in tokens, and for one client.

What would be more is refused at once, with the time to wait, and nothing of it is kept: a queue
that grows without a bound answers everybody late.

Not safe for threads: guarded by the lock of the engine, which alone calls it.
"""

from collections import Counter
from collections.abc import Iterable

from riverrun.errors import Overloaded
from serving.sequence import Sequence

RETRY_AFTER_S = 1.0
"""What a refused client is told to wait: about the time that a short answer takes."""


class Admission:
    """The sequences between `open` and `close`."""

    def __init__(
        self, *, max_rows: int, context_tokens: int, max_waiting: int, max_waiting_tokens: int
    ) -> None:
        self._max_rows = max_rows
        self._max_open = max_rows + max_waiting
        # The last quarter of the queue is for other clients.
        self._max_open_of_one = self._max_open - max_waiting // 4
        self._max_open_tokens = max_rows * context_tokens + max_waiting_tokens
        self.num_open = 0
        self.open_tokens = 0
        self._num_open_of: Counter[str] = Counter()

    def open(self, sequence: Sequence) -> None:
        """Let it in. Raises Overloaded, with nothing changed."""
        if self.num_open >= self._max_open:
            raise Overloaded(
                f"{self.num_open} requests are open, as many as may be "
                "(serving.max_rows + serving.max_waiting)",
                RETRY_AFTER_S,
            )
        # An empty name is nobody's: it could be anybody's.
        if sequence.client and self._num_open_of[sequence.client] >= self._max_open_of_one:
            raise Overloaded(
                f"{self._max_open_of_one} requests of this client are open, as many as one "
                "client may have (serving.max_rows + three quarters of serving.max_waiting)",
                RETRY_AFTER_S,
            )
        open_tokens = self.open_tokens + sequence.num_reserved
        if self.num_open >= self._max_rows and open_tokens > self._max_open_tokens:
            raise Overloaded(
                f"{self.open_tokens} tokens of prompts and answers are open; with the "
                f"{sequence.num_reserved} of this request they would be more than "
                f"{self._max_open_tokens} (serving.max_rows x serving.context_tokens + "
                "serving.max_waiting_tokens)",
                RETRY_AFTER_S,
            )
        self.num_open += 1
        self.open_tokens = open_tokens
        self._num_open_of[sequence.client] += 1

    def close(self, sequences: Iterable[Sequence]) -> None:
        """These have ended, however they did."""
        for sequence in sequences:
            self.num_open -= 1
            self.open_tokens -= sequence.num_reserved
            self._num_open_of[sequence.client] -= 1
            if not self._num_open_of[sequence.client]:
                del self._num_open_of[sequence.client]
