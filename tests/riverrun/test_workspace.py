import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from riverrun.errors import DataDirInUse, InvalidValue, NotRunning
from riverrun.workspace import ProcessRecord, ProcessState, Workspace, free_port, replace_file


def record(state: ProcessState = "ready") -> ProcessRecord:
    return ProcessRecord(
        name="serving", pid=os.getpid(), state=state, started_at=time.time(), address="127.0.0.1:1"
    )


def test_one_process_of_a_name_holds_a_directory(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.hold("serving"):
        assert workspace.is_held("serving")
        assert not workspace.is_held("learner")
        with pytest.raises(DataDirInUse, match="`serving` runs there already"):
            workspace.hold("serving").__enter__()
    assert not workspace.is_held("serving")


def test_asking_whether_a_lock_is_held_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            workspace.is_held("up")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(50):
            with workspace.hold("up"):
                assert workspace.is_held("up")
    finally:
        stop.set()
        asking.join()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from riverrun.workspace import Workspace
with Workspace(Path({str(tmp_path)!r})).hold("learner"):
    print("held", flush=True)
    input()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    workspace = Workspace(tmp_path)
    assert workspace.is_held("learner")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    assert not workspace.is_held("learner")


def test_a_record_counts_only_while_its_process_lives(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.announce(record())
    assert workspace.record("serving") is not None
    assert workspace.running("serving") is None
    with workspace.hold("serving"):
        assert workspace.running("serving") is not None
    assert workspace.record("serving") is None, "forgotten at an orderly end"


def test_waiting_returns_the_record_once_it_is_ready(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.hold("serving"):
        workspace.announce(record("starting"))
        ready = threading.Timer(0.1, workspace.announce, [record("ready")])
        ready.start()
        assert workspace.wait_ready("serving", 10).address == "127.0.0.1:1"
        ready.join()


def test_waiting_in_vain_says_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(NotRunning, match=r"serving is not running in .*`riverrun up"):
        workspace.wait_ready("serving", 0.05)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValue, match="data_dir"):
        Workspace(tmp_path / "file")


def test_a_free_port_is_kept_until_another_program_takes_it(tmp_path: Path) -> None:
    import socket

    workspace = Workspace(tmp_path)
    port = workspace.port("serving", 0)
    assert Workspace(tmp_path).port("serving", 0) == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert workspace.port("serving", 0) != port


def test_a_port_that_is_asked_for_is_given_as_it_is(tmp_path: Path) -> None:
    port = free_port()
    assert Workspace(tmp_path).port("serving", port) == port


def test_replacing_a_file_leaves_the_old_one_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
