"""How a system stands: who runs, what is learned, what is served, from the processes themselves.

Gathered from their records and locks in the data directory, their /metrics, and serving's own
GetStatus. A process that does not answer leaves its part None. Called by `riverrun status` and the
demo.
"""

import time
from typing import Literal

import msgspec

from riverrun.answers import Status as ServerStatus
from riverrun.client import Client
from riverrun.connect import connect
from riverrun.errors import NotRunning, RequestFailed
from riverrun.scrape import Samples, scrape
from riverrun.settings import Settings
from riverrun.workspace import ProcessName, Workspace

PROCESSES: tuple[ProcessName, ...] = ("broker", "learner", "stream", "serving")
RPC_TIMEOUT_S = 2.0
TOKEN_CODES = ("UNAUTHENTICATED", "PERMISSION_DENIED")

State = Literal["starting", "ready", "draining", "restarting", "not running"]


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `restarts` is None when no supervisor counts them."""

    name: str
    state: State
    pid: int | None = None
    uptime_s: float | None = None
    restarts: int | None = None
    address: str | None = None
    http_address: str | None = None
    metrics_port: int | None = None
    detail: str = ""


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Since the start of the process."""

    records: int
    documents: int
    rejections: dict[str, int]


class LearnerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Losses in nats a token; counts since the start of the process; None: not known yet.

    step: optimizer steps of the whole run, over restarts.
    lag: clean records not yet learned, by partition.
    seconds_per_document: all steps, rehearsal and study included, over the documents learned from.
    held_versions: in a row, up to the newest one.
    quarantine: documents that are kept, or released and not yet learned, by source.
    retention: R[i][j] by source: held-out bits a byte of time bucket j at the end of bucket i.
    """

    step: int | None
    steps: dict[str, int]
    documents: int
    tokens: int
    prequential_loss: float | None
    loss: dict[str, float]
    rate: float | None
    lag: dict[str, int]
    memory_blocks: int | None
    origin_texts: int | None
    origin_divergence: float | None
    due_documents: int | None
    seconds_per_document: float | None
    versions: dict[str, int]
    held_versions: int
    non_finite_steps: int
    quarantine: dict[str, int]
    retention: dict[str, dict[int, dict[int, float]]]

    @property
    def num_steps(self) -> int:
        return sum(self.steps.values())

    @property
    def total_lag(self) -> int:
        return sum(self.lag.values())

    @property
    def has_learned_all(self) -> bool:
        """Whether there is nothing left to learn, be it new or due."""
        return self.total_lag == 0 and self.due_documents == 0


class SystemStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, at one moment (seconds since 1970)."""

    at_s: float
    data_dir: str
    model: str
    bootstrap_servers: str | None
    processes: list[ProcessStatus]
    stream: StreamStatus | None
    learner: LearnerStatus | None
    serving: ServerStatus | None
    serving_error: str | None = None

    def process(self, name: str) -> ProcessStatus:
        return next(process for process in self.processes if process.name == name)


class Observer:
    """Looks at one system again and again, over one connection. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workspace = Workspace(settings.data_dir)
        self._client: Client | None = None

    def __enter__(self) -> "Observer":
        return self

    def __exit__(self, *_: object) -> None:
        self._connect(None)

    def look(self) -> SystemStatus:
        """How the system stands now. Raises NotRunning when no process lives."""
        supervisor = self.workspace.running("up")
        counted = _scraped(supervisor.metrics_port) if supervisor else None
        names = list(PROCESSES)
        if self.settings.kafka.bootstrap_servers is not None:
            names.remove("broker")
        processes = [self._process(name, supervisor is not None, counted) for name in names]
        if supervisor is None and all(process.state == "not running" for process in processes):
            raise NotRunning(
                f"nothing runs in {self.workspace.root}. "
                f"Start a system with `riverrun up`, or name its --data-dir."
            )
        by_name = {process.name: process for process in processes}
        broker = by_name.get("broker")
        server, error = self._server(by_name["serving"])
        return SystemStatus(
            at_s=time.time(),
            data_dir=str(self.workspace.root),
            model=self.settings.model,
            bootstrap_servers=broker.address if broker else self.settings.kafka.bootstrap_servers,
            processes=processes,
            stream=_stream(_scraped(by_name["stream"].metrics_port)),
            learner=learner_status(_scraped(by_name["learner"].metrics_port)),
            serving=server,
            serving_error=error,
        )

    def _process(
        self, name: ProcessName, supervised: bool, counted: Samples | None
    ) -> ProcessStatus:
        restarts = (
            counted.value("riverrun_process_restarts_total", process=name) if counted else None
        )
        num_restarts = None if restarts is None else int(restarts)
        record = self.workspace.running(name)
        if record is None:
            if not supervised:
                state: State = "not running"
            else:
                state = "starting" if num_restarts == 0 else "restarting"
            return ProcessStatus(name=name, state=state, restarts=num_restarts)
        return ProcessStatus(
            name=name,
            state=record.state,
            pid=record.pid,
            uptime_s=time.time() - record.started_at,
            restarts=num_restarts,
            address=record.address,
            http_address=record.http_address,
            metrics_port=record.metrics_port,
            detail=record.detail,
        )

    def _server(self, process: ProcessStatus) -> tuple[ServerStatus | None, str | None]:
        """What serving says of itself, or why it says nothing."""
        client = self._connect(process.address)
        if client is None:
            return None, None
        try:
            return client.status(), None
        except RequestFailed as error:
            hint = " (RIVERRUN_TOKEN, client.token_file)" if error.code in TOKEN_CODES else ""
            return None, f"{error}{hint}"

    def _connect(self, address: str | None) -> Client | None:
        if self._client is not None and self._client.address != address:
            self._client.close()
            self._client = None
        if self._client is None and address is not None:
            self._client = connect(self.settings, address, timeout_s=RPC_TIMEOUT_S)
        return self._client


def _scraped(port: int | None) -> Samples | None:
    return None if port is None else scrape(port)


def _stream(samples: Samples | None) -> StreamStatus | None:
    if samples is None:
        return None
    return StreamStatus(
        records=_count(samples, "riverrun_stream_records_total"),
        documents=_count(samples, "riverrun_stream_documents_total"),
        rejections=_counts(samples, "riverrun_stream_rejections_total", "reason"),
    )


def learner_status(samples: Samples | None) -> LearnerStatus | None:
    if samples is None:
        return None
    gauge = samples.value
    steps = _counts(samples, "riverrun_learner_steps_total", "kind")
    return LearnerStatus(
        step=_whole(gauge("riverrun_learner_step")),
        steps=steps,
        documents=_count(samples, "riverrun_learner_documents_total"),
        tokens=_count(samples, "riverrun_learner_tokens_total"),
        # A gauge is zero until it is set.
        prequential_loss=gauge("riverrun_learner_prequential_loss") if steps.get("new") else None,
        loss=samples.by("riverrun_learner_loss", "kind"),
        rate=gauge("riverrun_learner_rate"),
        lag=_counts(samples, "riverrun_learner_lag", "partition"),
        memory_blocks=_whole(gauge("riverrun_learner_memory_blocks")),
        origin_texts=_whole(gauge("riverrun_learner_origin_texts")),
        origin_divergence=gauge("riverrun_learner_origin_divergence"),
        due_documents=_whole(gauge("riverrun_learner_due_documents")),
        seconds_per_document=_quotient(
            samples.total("riverrun_learner_step_seconds_sum"),
            samples.total("riverrun_learner_documents_total"),
        ),
        versions=_counts(samples, "riverrun_learner_versions_total", "kind"),
        held_versions=_count(samples, "riverrun_learner_held_versions"),
        non_finite_steps=_count(samples, "riverrun_learner_non_finite_steps_total"),
        quarantine=_counts(samples, "riverrun_learner_quarantine_waiting_documents", "source"),
        retention=_retention(samples),
    )


def _retention(samples: Samples) -> dict[str, dict[int, dict[int, float]]]:
    """In the order of sources' names and of time."""
    found: dict[str, dict[int, dict[int, float]]] = {}
    cells = [
        (labels["source"], int(labels["after"]), int(labels["bucket"]), bits)
        for labels, bits in samples.each("riverrun_learner_retention_bits_per_byte")
    ]
    for source, i, j, bits in sorted(cells):
        found.setdefault(source, {}).setdefault(i, {})[j] = bits
    return found


def _count(samples: Samples, name: str) -> int:
    return int(samples.total(name) or 0)


def _counts(samples: Samples, name: str, label: str) -> dict[str, int]:
    return {key: int(value) for key, value in samples.by(name, label).items()}


def _quotient(whole: float | None, number: float | None) -> float | None:
    return whole / number if whole is not None and number else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
