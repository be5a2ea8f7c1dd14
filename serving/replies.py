"""The newest answers, by the id of their request: what feedback on one of them is about.

A ring bounded by number and by bytes; the oldest go first. Only the event loop touches it. Filled
by whoever sends answers, read by `serving/requests/feedback.py`.
"""

from collections import OrderedDict
from dataclasses import dataclass

from riverrun.feedback import Turn

MAX_REPLIES = 10_000
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer: what was asked, what was said, by which version."""

    request_id: str
    turns: list[Turn]
    answer: str
    version: str

    @property
    def num_bytes(self) -> int:
        """About what it holds, by characters."""
        return len(self.answer) + sum(len(turn.content) for turn in self.turns)


class Replies:
    """The newest `max_replies`, of `max_bytes` together at most."""

    def __init__(self, max_replies: int = MAX_REPLIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_replies = max_replies
        self._max_bytes = max_bytes
        self._by_id: OrderedDict[str, Reply] = OrderedDict()
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def remember(self, reply: Reply) -> None:
        """A request id that comes again names the newest answer."""
        before = self._by_id.pop(reply.request_id, None)
        if before is not None:
            self.num_bytes -= before.num_bytes
        self._by_id[reply.request_id] = reply
        self.num_bytes += reply.num_bytes
        while len(self._by_id) > self._max_replies or self.num_bytes > self._max_bytes:
            _, oldest = self._by_id.popitem(last=False)
            self.num_bytes -= oldest.num_bytes

    def find(self, request_id: str) -> Reply | None:
        return self._by_id.get(request_id)
