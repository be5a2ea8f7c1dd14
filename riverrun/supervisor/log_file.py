"""The log file of one process: appended to, bounded, and read back from its end.

Called for each child and for a detached supervisor. Knows nothing of what the lines mean, but
how an error looks among them.
"""

from pathlib import Path
from typing import IO

ROTATE_BYTES = 16 * 2**20
TAIL_BYTES = 64 * 2**10
TAIL_LINES = 20
ERROR = "error: "


class LogFile:
    """A log file, and where the newest start's part of it begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = 0

    def open(self) -> IO[bytes]:
        """The file to append to. One that has grown too large is kept as `NAME.log.1`."""
        size = self.path.stat().st_size if self.path.exists() else 0
        rotated = self.path.with_name(f"{self.path.name}.1")
        if size > ROTATE_BYTES:
            self.path.replace(rotated)
            size = 0
        self._begin = size
        file = self.path.open("ab")
        if rotated.exists() and not size:
            file.write(f"the lines before these are in {rotated.name}\n".encode())
            file.flush()
        return file

    def tail(self, num_lines: int = TAIL_LINES) -> list[str]:
        """The last lines since the newest start."""
        with self.path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(self._begin, end - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-num_lines:]

    def error(self) -> str | None:
        """What the process gave as the reason of its end, since the newest start.

        Its last line that begins with `error: `; else, of a traceback, the last line.
        """
        lines = self.tail()
        errors = [line for line in lines if line.startswith(ERROR)]
        if errors:
            return errors[-1].removeprefix(ERROR)
        if any(line.startswith("  File ") for line in lines):
            return lines[-1]
        return None
