"""What every process does at its end, in a real process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.errors import DataDirInUse
from riverrun.process import SUPERVISED, process
from riverrun.scrape import scrape
from riverrun.settings import Settings
from riverrun.workspace import Workspace

FAKE = Path(__file__).parent / "supervisor" / "fake_program.py"


def start(data_dir: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(FAKE), "stream", str(data_dir)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_well(number: signal.Signals, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with start(tmp_path) as running:
        record = workspace.wait_ready("stream", 60)
        assert record.pid == running.pid
        assert record.metrics_port is not None
        assert scrape(record.metrics_port) is not None
        running.send_signal(number)
        assert running.wait(60) == 0
    assert workspace.record("stream") is None
    assert not workspace.is_held("stream")


def test_a_signal_ends_a_supervised_process_well(tmp_path: Path) -> None:
    """Its thread still waits on the pipe then, which must not abort the interpreter."""
    with start(tmp_path, **{SUPERVISED: "1"}) as running:
        Workspace(tmp_path).wait_ready("stream", 60)
        running.terminate()
        assert running.wait(60) == 0


def test_a_supervised_process_ends_with_its_supervisor(tmp_path: Path) -> None:
    with start(tmp_path, **{SUPERVISED: "1"}) as running:
        Workspace(tmp_path).wait_ready("stream", 60)
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(60) == 0


def test_a_second_process_of_the_name_is_refused(tmp_path: Path) -> None:
    with start(tmp_path) as running:
        Workspace(tmp_path).wait_ready("stream", 60)
        with (
            pytest.raises(DataDirInUse, match="`stream` runs there already"),
            process("stream", Settings(data_dir=tmp_path), 0),
        ):
            pytest.fail("two hold one directory")
        running.terminate()
