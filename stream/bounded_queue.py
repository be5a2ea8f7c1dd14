"""The queue between faust's fetcher and our worker, bounded in bytes too.

faust bounds it in records, so that four thousand texts of a megabyte would take 4 GB. Here a record
counts for one place, and for one more for each further `PLACE_BYTES`. Used by the app.
"""

from typing import Any

from mode.utils.queues import ThrowableQueue

PLACE_BYTES = 8192
MAX_PLACES = 10_000
"""80 MB of text at most. While every partition is above four fifths, faust's fetcher sleeps for a
second (`Consumer._wait_next_records`); what is here then keeps a worker busy for that long."""


class BoundedQueue(ThrowableQueue[Any]):
    """A flow-controlled queue of faust events that knows how large they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._places = 0
        self.num_records = 0
        super().__init__(*args, **kwargs)

    def qsize(self) -> int:
        """Places taken, not records: faust compares this with the queue's size."""
        return self._places

    def _put(self, item: Any) -> None:
        self._places += _places(item)
        self.num_records += 1
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._places -= _places(item)
        self.num_records -= 1
        return item

    def clear(self) -> None:
        super().clear()
        self._places = 0
        self.num_records = 0


def _places(event: Any) -> int:
    return 1 + len(event.message.value or b"") // PLACE_BYTES
