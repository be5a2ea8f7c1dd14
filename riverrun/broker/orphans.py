"""Kafka processes of a data directory that outlived the wrapper that started them.

Knows them by their command line, so there is no pid file to be stale. Called before every start,
under the data directory's lock: whoever is found then belongs to nobody.
"""

import logging
from pathlib import Path

import psutil

from riverrun.errors import BrokerError

MAIN_CLASS = "kafka.Kafka"
GRACE_S = 20.0
"""Closing its files takes Kafka 0.6 s when idle."""

log = logging.getLogger(__name__)


def mark(home: Path) -> str:
    """The argument of a Kafka's command line that says whose it is."""
    return f"-Driverrun.broker={home.resolve()}"


def end_orphans(home: Path) -> int:
    """End every Kafka that still runs in `home`, kindly first; how many there were."""
    orphans = find_kafka(home)
    for orphan in orphans:
        log.warning("ending Kafka (process %d), which outlived its riverrun", orphan.pid)
        _signal(orphan, kindly=True)
    _, alive = psutil.wait_procs(orphans, timeout=GRACE_S)
    for orphan in alive:
        _signal(orphan, kindly=False)
    _, alive = psutil.wait_procs(alive, timeout=GRACE_S)
    if alive:
        raise BrokerError(
            f"Kafka (process {alive[0].pid}) still runs in {home} and does not end; end it first"
        )
    return len(orphans)


def find_kafka(home: Path) -> list[psutil.Process]:
    """The Kafka processes that run in `home`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if MAIN_CLASS in command and mark(home) in command:
            found.append(process)
    return found


def _signal(process: psutil.Process, *, kindly: bool) -> None:
    try:
        process.terminate() if kindly else process.kill()
    except psutil.NoSuchProcess:
        return
