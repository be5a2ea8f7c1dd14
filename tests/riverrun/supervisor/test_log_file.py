from pathlib import Path

import pytest

from riverrun.supervisor import log_file
from riverrun.supervisor.log_file import LogFile


def say(log: LogFile, *lines: str) -> None:
    with log.open() as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def test_the_tail_is_of_the_newest_start(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    say(log, "error: old")
    say(log, *[f"line {n}" for n in range(100)])
    assert log.tail(2) == ["line 98", "line 99"]
    assert log.error() is None


def test_the_last_error_line_is_the_reason(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    say(log, "error: first", "error: the port is taken", "goodbye")
    assert log.error() == "the port is taken"


def test_of_a_traceback_the_last_line_is_the_reason(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    say(log, "Traceback", '  File "x.py", line 1', "    boom()", "ValueError: no")
    assert log.error() == "ValueError: no"


def test_a_log_that_has_grown_is_put_aside_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "ROTATE_BYTES", 10)
    log = LogFile(tmp_path / "a.log")
    say(log, "a line that is long")
    say(log, "new")
    assert (tmp_path / "a.log.1").read_text() == "a line that is long\n"
    assert (tmp_path / "a.log").read_text() == "the lines before these are in a.log.1\nnew\n"


def test_bytes_that_are_no_text_do_not_hide_the_rest(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    with log.open() as file:
        file.write(b"\xff\xfe\nerror: plain\n")
    assert log.error() == "plain"
