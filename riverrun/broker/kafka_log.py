"""What Kafka says, on its way from a pipe to a file of bounded size.

A pipe rather than Kafka's own file: what Java itself prints before it fails ends in the same place.
Called by `kafka_process.py`.
"""

import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import IO

MAX_FILE_BYTES = 10_000_000
LAST_LINES = 20


class KafkaLog:
    """Copies lines to `path`; when that is full it becomes `path.1`, and a new one begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._thread: threading.Thread | None = None

    def follow(self, pipe: IO[bytes]) -> None:
        """Copy from `pipe` to its end, in a thread."""
        self._lines.clear()
        self._thread = threading.Thread(target=self._copy, args=(pipe,), name="kafka-log")
        self._thread.daemon = True
        self._thread.start()

    def last_lines(self) -> str:
        """The last lines of the Kafka followed last; complete once that has died."""
        if self._thread is not None:
            self._thread.join(timeout=2)
        return "\n".join(f"  {line}" for line in self._lines) or "  (it said nothing)"

    def _copy(self, pipe: IO[bytes]) -> None:
        file = self.path.open("ab")
        try:
            for line in pipe:
                self._lines.append(line.decode("utf-8", "replace").rstrip())
                if file.tell() + len(line) > MAX_FILE_BYTES:
                    file.close()
                    self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                    file = self.path.open("ab")
                # A full disk must not stop the reading: Kafka would block on the pipe.
                with contextlib.suppress(OSError):
                    file.write(line)
                    file.flush()
        finally:
            file.close()
            pipe.close()
