"""Which processes make up a system, and in what order they start.

Called by `System`. Knows the command lines, nothing of what is behind them.
"""

import os
import sys
from pathlib import Path

import msgspec

from riverrun.process import SUPERVISED
from riverrun.settings import Settings
from riverrun.workspace import ProcessName

LASTING_ENVIRONMENT = ("RIVERRUN_CACHE",)
"""Variables of ours that are no settings."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A process to run. It starts when all that it `needs` are ready."""

    name: ProcessName
    command: list[str]
    needs: tuple[ProcessName, ...] = ()


def programs_of(settings: Settings) -> list[Program]:
    """The processes of a system, in start order; they stop in the reverse one."""
    embedded = settings.kafka.bootstrap_servers is None
    needs: tuple[ProcessName, ...] = ("broker",) if embedded else ()
    names: list[ProcessName] = ["learner", "stream", "serving"]
    programs = [
        Program(name=name, command=command_line(name, settings.data_dir), needs=needs)
        for name in names
    ]
    if embedded:
        programs.insert(
            0, Program(name="broker", command=command_line("broker", settings.data_dir))
        )
    return programs


def command_line(name: ProcessName, data_dir: Path) -> list[str]:
    return [sys.executable, "-m", "riverrun", name, "--data-dir", str(data_dir.absolute())]


def child_environment() -> dict[str, str]:
    """The environment of a child: ours, without settings.

    The children read the settings that the supervisor wrote; left in the environment, ours would
    come above what its command line said.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RIVERRUN_") or name in LASTING_ENVIRONMENT
    }
    return environment | {SUPERVISED: "1", "PYTHONUNBUFFERED": "1"}
