"""The supervisor over small real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from riverrun.errors import BrokerError, DataDirInUse, NotRunning, ProcessFailed
from riverrun.scrape import scrape
from riverrun.settings import Settings, SupervisorSettings
from riverrun.settings.load import load_settings, save_settings
from riverrun.supervisor import Event, Program, System
from riverrun.supervisor.running import stop_running
from riverrun.workspace import ProcessName, ProcessRecord, Workspace, free_port

FAKE = Path(__file__).with_name("fake_program.py")
NAMES: tuple[ProcessName, ...] = ("broker", "learner", "stream", "serving")
DEADLINE_S = 60.0


def programs(data_dir: Path, *names: ProcessName, **how: str) -> list[Program]:
    """Fake processes; all but the first need the first."""
    return [
        Program(
            name=name,
            command=[sys.executable, str(FAKE), name, str(data_dir), how.get(name, "well")],
            needs=names[:1] if name != names[0] else (),
        )
        for name in names
    ]


def settings_in(data_dir: Path, **supervisor: Any) -> Settings:
    return Settings(data_dir=data_dir, supervisor=SupervisorSettings(**supervisor))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def kinds(events: list[Event], *wanted: str) -> list[tuple[str, str | None]]:
    return [(event.kind, event.process) for event in events if event.kind in wanted]


def test_what_is_needed_starts_first_and_stops_last(tmp_path: Path) -> None:
    events: list[Event] = []
    with System(settings_in(tmp_path), events.append, programs(tmp_path, *NAMES)) as system:
        system.wait_ready(DEADLINE_S)
        assert {view.phase for view in system.processes} == {"ready"}
        assert Workspace(tmp_path).wait_ready("up", 5).pid == os.getpid()
    assert kinds(events, "starting", "ready")[:2] == [("starting", "broker"), ("ready", "broker")]
    assert kinds(events, "stopped") == [("stopped", name) for name in reversed(NAMES)]
    assert events[-1].kind == "ended"
    assert not any(Workspace(tmp_path).is_held(name) for name in ("up", *NAMES))
    assert list((tmp_path / "run").glob("*.json")) == [tmp_path / "run" / "settings.json"]


def test_a_killed_process_starts_again_and_is_counted(tmp_path: Path) -> None:
    events: list[Event] = []
    with System(settings_in(tmp_path), events.append, programs(tmp_path, "broker")) as system:
        system.wait_ready(DEADLINE_S)
        first = system.processes[0].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(
            lambda: system.processes[0].phase == "ready" and system.processes[0].pid != first
        )
        assert system.processes[0].restarts == 1
        record = Workspace(tmp_path).running("up")
        assert record is not None
        assert record.metrics_port is not None
        samples = scrape(record.metrics_port)
        assert samples is not None
        assert samples.value("riverrun_process_restarts_total", process="broker") == 1
        assert samples.value("riverrun_process_up", process="broker") == 1
    failed = next(event for event in events if event.kind == "failed")
    assert "was ended by SIGKILL; starts again in 0.5 s (1 of 10)" in failed.text
    assert any("ready" in line for line in failed.tail), "the log's last lines come along"


def test_what_a_killed_process_leaves_behind_is_killed_too(tmp_path: Path) -> None:
    only = programs(tmp_path, "broker", broker="parent")
    with System(settings_in(tmp_path), programs=only) as system:
        system.wait_ready(DEADLINE_S)
        view = system.processes[0]
        assert view.record is not None
        assert view.pid is not None
        grandchild = psutil.Process(int(view.record.detail))
        os.kill(view.pid, signal.SIGKILL)
        wait_until(
            lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
        )


def test_a_process_that_never_comes_up_ends_the_system_with_its_reason(tmp_path: Path) -> None:
    events: list[Event] = []
    fails = programs(tmp_path, "broker", "serving", serving="fails")
    system = System(settings_in(tmp_path, max_restarts=1), events.append, fails)
    system.start()
    with pytest.raises(ProcessFailed, match=r"^serving: serving cannot \(given up after 2 starts"):
        system.wait_ready(DEADLINE_S)
    system.stop()
    assert isinstance(system.failure, ProcessFailed)
    assert system.failure.exit_code == 1
    assert system.failure.tail == ["error: serving cannot"]
    assert kinds(events, "stopped") == [("stopped", "broker")]


def test_a_usage_error_is_not_tried_again(tmp_path: Path) -> None:
    events: list[Event] = []
    refuses = programs(tmp_path, "broker", broker="refuses")
    with System(settings_in(tmp_path), events.append, refuses) as system:
        with pytest.raises(ProcessFailed, match=r"^broker: broker cannot$") as failed:
            system.wait_ready(DEADLINE_S)
        assert failed.value.exit_code == 2
    assert len(kinds(events, "starting")) == 1


def test_a_process_that_is_not_ready_in_time_is_killed_and_named(tmp_path: Path) -> None:
    stuck = programs(tmp_path, "broker", broker="stuck")
    limits = settings_in(tmp_path, start_timeout_s=2, max_restarts=0)
    late = pytest.raises(ProcessFailed, match="broker: was not ready within 2 s")
    with System(limits, programs=stuck) as system, late:
        system.wait_ready(DEADLINE_S)


def test_a_program_that_cannot_be_started_ends_the_system(tmp_path: Path) -> None:
    nothing = [Program(name="broker", command=[str(tmp_path / "nothing")])]
    failed = pytest.raises(ProcessFailed, match="could not be started")
    with System(settings_in(tmp_path), programs=nothing) as system, failed:
        system.wait_ready(DEADLINE_S)


def test_what_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    events: list[Event] = []
    deaf = programs(tmp_path, "broker", broker="deaf")
    with System(settings_in(tmp_path, stop_timeout_s=0.5), events.append, deaf) as system:
        system.wait_ready(DEADLINE_S)
    assert kinds(events, "killed", "stopped") == [("killed", "broker"), ("stopped", "broker")]


def test_hurrying_does_not_wait_for_the_order(tmp_path: Path) -> None:
    deaf = programs(tmp_path, "broker", "serving", serving="deaf")
    events: list[Event] = []
    with System(settings_in(tmp_path, stop_timeout_s=600), events.append, deaf) as system:
        system.wait_ready(DEADLINE_S)
        system.request_stop()
        wait_until(lambda: bool(kinds(events, "stopping")))
        system.hurry()
    assert kinds(events, "killed") == [("killed", "serving")]


def test_a_second_system_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with System(settings_in(tmp_path), programs=programs(tmp_path, "broker")) as system:
        system.wait_ready(DEADLINE_S)
        with pytest.raises(DataDirInUse, match="`up` runs there already"):
            System(settings_in(tmp_path)).start()


def test_two_systems_in_two_directories_run_side_by_side(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with (
        System(settings_in(one), programs=programs(one, "broker")) as first,
        System(settings_in(two), programs=programs(two, "broker")) as second,
    ):
        first.wait_ready(DEADLINE_S)
        second.wait_ready(DEADLINE_S)
        pids = {system.processes[0].pid for system in (first, second)}
        assert len(pids - {None}) == 2


def test_stale_records_are_swept_before_the_start(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.announce(
        ProcessRecord(name="serving", pid=1, state="ready", started_at=0, metrics_port=1)
    )
    with System(settings_in(tmp_path), programs=programs(tmp_path, "broker")) as system:
        system.wait_ready(DEADLINE_S)
        assert workspace.record("serving") is None
        assert not (tmp_path / "run" / "targets" / "serving.json").exists()


def test_a_named_kafka_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    overrides = {
        "kafka.bootstrap_servers": f"127.0.0.1:{free_port()}",
        "kafka.request_timeout_s": "1",
    }
    system = System(load_settings(tmp_path, None, overrides))
    with pytest.raises(BrokerError, match="Kafka at 127"):
        system.start()
    assert not Workspace(tmp_path).is_held("up")


def test_children_read_the_settings_of_the_command_line_not_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIVERRUN_LEARNER__SEED", "1")
    settings = load_settings(tmp_path, None, {"learner.seed": "2"})
    code = (
        "import os, sys; from pathlib import Path; from riverrun.settings.load import *;"
        "settings = load_settings(Path(sys.argv[1]), running=True);"
        "print('seed', settings.learner.seed, flush=True); sys.exit(2)"
    )
    asks = [Program(name="learner", command=[sys.executable, "-c", code, str(tmp_path)])]
    with System(settings, programs=asks) as system, pytest.raises(ProcessFailed):
        system.wait_ready(DEADLINE_S)
    assert (tmp_path / "logs" / "learner.log").read_text() == "seed 2\n"


SUPERVISOR = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_system import programs, settings_in
from riverrun.supervisor import System
data_dir = Path({data_dir!r})
with System(settings_in(data_dir), programs=programs(data_dir, "broker", "serving")) as system:
    system.wait_ready(60)
    print("ready", flush=True)
    while not system.has_ended:
        time.sleep(0.05)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A supervisor in a process of its own, ready."""
    code = SUPERVISOR.format(folder=str(FAKE.parent), data_dir=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def test_children_end_when_their_supervisor_is_killed(
    tmp_path: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.is_held("serving")
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not workspace.is_held("broker") and not workspace.is_held("serving"))
    log = (tmp_path / "logs" / "serving.log").read_text()
    assert "the supervisor is gone: stopping" in log


def test_a_new_supervisor_waits_for_the_children_of_a_killed_one(
    tmp_path: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    supervisor.kill()
    supervisor.wait()
    only = programs(tmp_path, "broker", "serving")
    with System(settings_in(tmp_path), programs=only) as system:
        system.wait_ready(DEADLINE_S)
        assert [view.restarts for view in system.processes] == [0, 0]


def test_down_stops_what_another_process_supervises(tmp_path: Path) -> None:
    said: list[str] = []
    workspace = Workspace(tmp_path)
    with pytest.raises(NotRunning, match="nothing runs in"):
        stop_running(workspace, 1, said.append)
    # A process started by hand, with no supervisor.
    save_settings(settings_in(tmp_path), workspace.settings_file)
    process = subprocess.Popen([sys.executable, str(FAKE), "learner", str(tmp_path)])
    workspace.wait_ready("learner", DEADLINE_S)
    stop_running(workspace, DEADLINE_S, said.append)
    assert process.wait() == 0
    assert said == [f"stopping learner (process {process.pid})"]


def test_a_system_runs_in_any_thread(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with System(settings_in(tmp_path), programs=programs(tmp_path, "broker")) as system:
                system.wait_ready(DEADLINE_S)
        except ProcessFailed as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []
