"""The journal's files as they are read: by the learner that owns them, and beside it by others.

Knows nothing of writing. Used by `journal.py` and `verify.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from learner.entries import Entry, Learned
from riverrun.errors import CheckpointError


def starts_in(directory: Path) -> list[int]:
    """The step that each file begins after."""
    return sorted(int(path.stem) for path in directory.glob("*.jsonl"))


def file_of(directory: Path, start: int) -> Path:
    return directory / f"{start:010d}.jsonl"


def entries_in(path: Path) -> Iterator[Entry]:
    """All whole lines. Raises CheckpointError when one of them is damaged."""
    data = path.read_bytes()
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            yield msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{path}, line {number}: {error}") from error


def entries_from(directory: Path, step: int) -> Iterator[Entry]:
    """What was written after the checkpoint of `step`, oldest first.

    Raises CheckpointError when a line is damaged or a step is missing.
    """
    expected = step + 1
    starts = starts_in(directory)
    if starts and starts[0] > step:
        raise CheckpointError(
            f"{directory} begins after step {starts[0]}, and no checkpoint of that step "
            f"or a later one can be used. Restore one, or name another --data-dir."
        )
    for start in starts:
        if start < step:
            continue
        path = file_of(directory, start)
        for entry in entries_in(path):
            if isinstance(entry, Learned):
                if entry.step != expected:
                    raise CheckpointError(
                        f"{path}: step {entry.step} stands where step {expected} must; "
                        f"the journal is not whole"
                    )
                expected += 1
            yield entry
