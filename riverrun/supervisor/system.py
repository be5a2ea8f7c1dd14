"""The processes of one system, kept running by one thread.

A process starts when those that it needs are ready, starts again after a crash, and stops in the
reverse of the start order. Signals are the caller's affair, so a system may run in any thread of
any program. Called by `riverrun up`, the demo and the tests.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from riverrun.errors import ProcessFailed, RiverrunError
from riverrun.metrics import SupervisorMetrics
from riverrun.settings import Settings
from riverrun.supervisor.child import Child, ProcessView, describe_end
from riverrun.supervisor.drain import TICK_S, drain
from riverrun.supervisor.events import Event, EventKind
from riverrun.supervisor.place import Place
from riverrun.supervisor.programs import Program, programs_of
from riverrun.supervisor.restarts import Restarts

USAGE_ERROR = 2


class System:
    """One system in its data directory.

    on_event: called on the system's own thread; it must not block, nor call back into `stop`.
    programs: what to run, in start order (the settings' processes unless given).
    """

    def __init__(
        self,
        settings: Settings,
        on_event: Callable[[Event], None] | None = None,
        programs: Sequence[Program] | None = None,
    ) -> None:
        self.settings = settings
        self.failure: RiverrunError | None = None
        self._on_event = on_event
        self._limits = settings.supervisor
        self._place = Place(settings, self._tell)
        self._children = [
            Child(
                program,
                self._place.workspace,
                Restarts(self._limits.max_restarts, self._limits.max_backoff_s),
            )
            for program in (programs_of(settings) if programs is None else programs)
        ]
        self._metrics = SupervisorMetrics(CollectorRegistry())
        self._thread: threading.Thread | None = None
        self._all_ready = threading.Event()
        self._stopping = threading.Event()
        self._hurried = threading.Event()
        self._ended = threading.Event()

    def __enter__(self) -> "System":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Take the data directory and begin; returns at once.

        Raises DataDirInUse, and BrokerError when a Kafka named in the settings does not answer.
        """
        registry = CollectorRegistry()
        self._metrics = SupervisorMetrics(registry)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._place.taken(registry))
            for child in self._children:
                self._metrics.up.labels(child.name).set(0)
                self._metrics.restarts.labels(child.name)
            self._thread = threading.Thread(
                target=self._supervise, args=(stack.pop_all(),), name="supervisor"
            )
        self._thread.start()

    def wait_ready(self, timeout_s: float | None = None) -> None:
        """Return once every process is ready.

        Raises ProcessFailed when the system gave up, or is not ready within `timeout_s`.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._all_ready.wait(TICK_S):
            if self._ended.is_set():
                raise self.failure or ProcessFailed("the system was stopped", [])
            if deadline is not None and time.monotonic() >= deadline:
                late = [child.name for child in self._children if child.phase != "ready"]
                raise ProcessFailed(f"not ready after {timeout_s:g} s: {', '.join(late)}", [])

    def request_stop(self) -> None:
        """Begin to drain, in reverse start order; returns at once."""
        self._stopping.set()

    def hurry(self) -> None:
        """Stop all processes at once, and kill those that take more than a few seconds."""
        self._hurried.set()
        self._stopping.set()

    def stop(self) -> None:
        """Drain, and return when nothing runs any more. Does nothing when nothing ran."""
        self.request_stop()
        if self._thread is not None:
            self._thread.join()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    @property
    def processes(self) -> list[ProcessView]:
        """Every process, in start order."""
        return [child.view() for child in self._children]

    # The supervisor's thread

    def _supervise(self, place: contextlib.ExitStack) -> None:
        try:
            with place:
                self._run()
        finally:
            self._ended.set()
        self._tell("ended", "nothing runs any more")

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                for child in self._children:
                    self._attend(child)
                self._announce_when_ready()
                self._stopping.wait(TICK_S)
        except OSError as error:
            self.failure = ProcessFailed(f"a process could not be started: {error}", [])
        finally:
            self._drain()

    def _attend(self, child: Child) -> None:
        """One look at one process."""
        if self._stopping.is_set():
            return
        if child.phase in ("waiting", "restarting"):
            self._start_when_due(child)
            return
        code = child.collect()
        if code is not None:
            self._recover(child, describe_end(code), usage_error=code == USAGE_ERROR)
        elif child.phase == "starting":
            self._await_ready(child)

    def _start_when_due(self, child: Child) -> None:
        ready = {other.name for other in self._children if other.phase == "ready"}
        if child.start_at_s <= time.monotonic() and ready.issuperset(child.program.needs):
            if child.phase == "restarting":
                self._metrics.restarts.labels(child.name).inc()
            child.start()
            self._tell("starting", f"process {child.pid}", child)

    def _await_ready(self, child: Child) -> None:
        record = child.record()
        waited_s = time.monotonic() - child.started_s
        if record is not None and record.state == "ready":
            child.phase = "ready"
            child.was_ready = True
            child.ready_s = time.monotonic()
            self._metrics.up.labels(child.name).set(1)
            address = f" at {record.address}" if record.address else ""
            if record.http_address:
                address += f" and {record.http_address}/v1"
            self._tell("ready", f"ready in {waited_s:.1f} s{address}", child)
        elif waited_s > self._limits.start_timeout_s:
            child.kill()
            while child.collect() is None:
                self._stopping.wait(TICK_S)
            self._recover(child, f"was not ready within {self._limits.start_timeout_s:g} s")

    def _recover(self, child: Child, what: str, *, usage_error: bool = False) -> None:
        """Start `child` again later, or give up."""
        now_s = time.monotonic()
        healthy_s = now_s - child.ready_s if child.ready_s is not None else 0.0
        self._metrics.up.labels(child.name).set(0)
        tail = child.log.tail()
        error = child.log.error()
        if error is not None:
            what = f"{what}: {error}"
        pause_s = None
        if not usage_error:
            pause_s = child.restarts.pause_after(healthy_s, now_s, was_ready=child.was_ready)
        if pause_s is None:
            child.phase = "ended"
            self._tell("failed", what, child, tail)
            self._give_up(child, error or what, usage_error=usage_error)
            return
        child.phase = "restarting"
        child.start_at_s = now_s + pause_s
        count = (
            f"{child.restarts.recent(now_s)} of {child.restarts.allowed(was_ready=child.was_ready)}"
        )
        self._tell("failed", f"{what}; starts again in {pause_s:g} s ({count})", child, tail)

    def _give_up(self, child: Child, reason: str, *, usage_error: bool) -> None:
        message = f"{child.name}: {reason}"
        if not usage_error:
            attempts = child.restarts.recent(time.monotonic()) + 1
            message += f" (given up after {attempts} {'start' if attempts == 1 else 'starts'})"
        self.failure = ProcessFailed(message, child.log.tail(), USAGE_ERROR if usage_error else 1)
        self._tell("gave_up", message)
        self._stopping.set()

    def _announce_when_ready(self) -> None:
        if not self._all_ready.is_set() and all(c.phase == "ready" for c in self._children):
            self._place.announce("ready")
            self._tell("all_ready", "all processes are ready")
            self._all_ready.set()

    def _drain(self) -> None:
        self._place.announce("draining")
        drain(self._children, self._limits.stop_timeout_s, self._hurried, self._tell)
        for child in self._children:
            self._metrics.up.labels(child.name).set(0)

    def _tell(
        self,
        kind: EventKind,
        text: str,
        child: Child | None = None,
        tail: Sequence[str] = (),
    ) -> None:
        if self._on_event is not None:
            name = child.name if child is not None else None
            self._on_event(Event(kind=kind, text=text, process=name, tail=list(tail)))
