"""Whether files changed since they were read last, without reading them.

Called by what reads certificates and tokens again.
"""

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[tuple[int, int, int] | None, ...]


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """Another one whenever a file was replaced, written, made or removed.

    Links are followed, so that a directory of secrets that is switched by one counts as changed.
    """
    return tuple(_one(path) for path in paths)


def _one(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
