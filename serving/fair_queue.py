"""Sequences that wait for a row, fair between clients.

The next row goes to the client that runs fewest; of equals to the one that was served longest ago;
within a client to whoever waited longest. So one with hundreds of requests delays another's first
by no more than the end of one answer.

Knows nothing of rows or weights. Called by `serving/scheduler.py`.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping

from serving.sequence import Sequence


class FairQueue:
    """One line for each client; the client that was served last is the last."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Sequence]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[Sequence]:
        for line in self._lines.values():
            yield from line

    def add(self, sequence: Sequence) -> None:
        self._lines.setdefault(sequence.client, deque()).append(sequence)

    def pop(self, num_running: Mapping[str, int]) -> Sequence:
        """The next one. num_running: by client, where it is not 0."""
        # `min` gives the first of equals.
        client = min(self._lines, key=lambda one: num_running.get(one, 0))
        line = self._lines[client]
        sequence = line.popleft()
        if line:
            self._lines.move_to_end(client)
        else:
            del self._lines[client]
        return sequence

    def remove(self, gone: set[Sequence]) -> None:
        """Take these out, wherever they wait."""
        for client, line in list(self._lines.items()):
            if not gone.isdisjoint(line):
                left = deque(sequence for sequence in line if sequence not in gone)
                if left:
                    self._lines[client] = left
                else:
                    del self._lines[client]
