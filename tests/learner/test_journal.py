"""What was appended comes back; what was torn is cut off, and what was damaged is an error."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from learner.arrival import Range
from learner.journal import Announced, Entry, Journal, Learned, Published
from riverrun.errors import CheckpointError

ENTRIES: list[Entry] = [
    Learned(1, [Range(0, 0, 4), Range(3, 7, 7)]),
    Published(1, "r-1", "abc"),
    Learned(2),
    Announced("r-1"),
    Published(2, "r-2", "def"),
]


Open = Callable[[Path], Journal]


def written(directory: Path, entries: list[Entry]) -> Path:
    journal = Journal(directory)
    for entry in entries:
        journal.append(entry)
    journal.close()
    return directory


def test_entries_come_back_in_order(tmp_path: Path, open_journal: Open) -> None:
    assert list(open_journal(written(tmp_path, ENTRIES)).entries_from(0)) == ENTRIES


def test_half_a_last_line_is_cut_off_and_named(
    tmp_path: Path, open_journal: Open, caplog: pytest.LogCaptureFixture
) -> None:
    [path] = written(tmp_path, ENTRIES).iterdir()
    whole = path.read_bytes()
    last = len(whole) - whole.rstrip(b"\n").rfind(b"\n") - 1
    for missing in range(1, last):
        path.write_bytes(whole[:-missing])
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            journal = open_journal(tmp_path)
        assert path.name in caplog.text
        assert list(journal.entries_from(0)) == ENTRIES[:-1]
        journal.append(ENTRIES[-1])
        journal.close()
        assert path.read_bytes() == whole


def test_damage_in_the_middle_is_an_error_that_names_the_line(
    tmp_path: Path, open_journal: Open
) -> None:
    [path] = written(tmp_path, ENTRIES).iterdir()
    path.write_bytes(path.read_bytes().replace(b'"published","step":1', b'"publ?shed","step":1'))
    with pytest.raises(CheckpointError, match="line 2"):
        list(open_journal(tmp_path).entries_from(0))


def test_a_missing_step_is_an_error(tmp_path: Path, open_journal: Open) -> None:
    with pytest.raises(CheckpointError, match="step 3 stands where step 2 must"):
        list(open_journal(written(tmp_path, [Learned(1), Learned(3)])).entries_from(0))


def with_checkpoints(journal: Journal) -> Journal:
    """Steps 1 to 6, checkpoints after 2 and 4."""
    for step in range(1, 7):
        journal.append(Learned(step))
        if step in (2, 4):
            journal.begin_file(step)
    return journal


def test_what_follows_a_checkpoint_is_found_from_it(tmp_path: Path, open_journal: Open) -> None:
    journal = with_checkpoints(open_journal(tmp_path))
    for step in (0, 2, 4):
        expected = [Learned(s) for s in range(step + 1, 7)]
        assert list(journal.entries_from(step)) == expected


def test_what_no_checkpoint_needs_is_forgotten(tmp_path: Path, open_journal: Open) -> None:
    journal = with_checkpoints(open_journal(tmp_path))
    journal.forget_before(2)
    assert list(journal.entries_from(2)) == [Learned(s) for s in range(3, 7)]
    with pytest.raises(CheckpointError, match="begins after step 2"):
        list(journal.entries_from(0))


def test_a_journal_goes_on_in_its_last_file(tmp_path: Path, open_journal: Open) -> None:
    with_checkpoints(open_journal(tmp_path)).close()
    journal = open_journal(tmp_path)
    journal.append(Learned(7))
    assert journal.start == 4
    assert list(journal.entries_from(4)) == [Learned(5), Learned(6), Learned(7)]


def test_versions_without_kafkas_word_are_told_again(tmp_path: Path, open_journal: Open) -> None:
    assert open_journal(written(tmp_path, ENTRIES)).unannounced() == ["r-2"]


def test_a_full_disk_leaves_the_journal_as_it_was(
    tmp_path: Path, open_journal: Open, full_disk: Callable[[int], None]
) -> None:
    journal = open_journal(written(tmp_path, ENTRIES))
    path = tmp_path / "0000000000.jsonl"
    before = path.read_bytes()
    full_disk(len(before) + 5)
    with pytest.raises(OSError, match=r"No space left|File too large"):
        journal.append(Learned(3))
    full_disk(1 << 20)
    assert path.read_bytes() == before
    journal.append(Learned(3))
    assert list(journal.entries_from(0)) == [*ENTRIES, Learned(3)]
