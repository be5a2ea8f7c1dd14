"""The process `riverrun stream`: Kafka found, topics there, one worker until a signal.

Knows nothing of cleaning. Called by the command line; several workers in one data directory are
not possible yet (the process holds its lock), several data directories on one Kafka are.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

from riverrun.broker.topics import ensure_topics
from riverrun.errors import NotRunning, RiverrunError
from riverrun.kafka import Topics, bootstrap_servers
from riverrun.metrics import StreamMetrics
from riverrun.process import Running, process
from riverrun.settings import Settings
from riverrun.workspace import Workspace, replace_file
from stream.app import StreamApp, build_app
from stream.feedback import FeedbackCheck
from stream.lag import LagWatch
from stream.letter_writer import LetterWriter

STOP_TIMEOUT_S = 20.0
"""How long faust may take to commit and leave; what it did not commit is cleaned again."""

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Clean until a signal. Raises RiverrunError when Kafka does not answer or the worker fails."""
    with process("stream", settings, settings.stream.metrics_port) as running:
        servers = _find_kafka(settings, running)
        if servers is None:
            return
        ensure_topics(settings, servers)
        asyncio.run(_serve(settings, servers, running))


def instance_id(settings: Settings) -> str:
    """Who this worker is in the consumer group: chosen once for the data directory."""
    path = Workspace(settings.data_dir).directory("stream") / "instance-id"
    if not path.exists():
        replace_file(path, uuid.uuid4().hex.encode())
    return path.read_text()


def _find_kafka(settings: Settings, running: Running) -> list[str] | None:
    """The servers, once the embedded broker is ready; None when we are to stop meanwhile."""
    deadline = time.monotonic() + settings.broker.start_timeout_s
    while not running.stop.is_set():
        left_s = deadline - time.monotonic()
        try:
            return bootstrap_servers(settings, timeout_s=max(0.0, min(0.5, left_s)))
        except NotRunning:
            if left_s <= 0:
                raise
    return None


async def _serve(settings: Settings, servers: list[str], running: Running) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def request_stop() -> None:
        # The loop may be gone when a second signal comes.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    running.on_stop.append(request_stop)
    if running.stop.is_set():
        return
    metrics = StreamMetrics(running.registry)
    app = build_app(settings, servers, metrics, instance_id(settings))

    # While Kafka's group comes together, which takes longer.
    loop.run_in_executor(None, app.pipeline.load_models)

    async def announce(_: object, assigned: set[Any], **__: object) -> None:
        running.announce("ready", detail=f"{len(assigned)} partitions")

    app.on_partitions_assigned.connect(cast(Any, announce))
    lag = LagWatch(metrics, app.probe, app.next_offsets, app.queue_size)
    topics = Topics(settings.kafka.topic_prefix)
    feedback = FeedbackCheck(
        settings.kafka,
        servers,
        metrics,
        lambda: LetterWriter(app.writer(topics.dead_letter), metrics.feedback_rejections),
        instance_id(settings),
    )
    crash = await _run_until(app, stop, (lag.run, feedback.run))
    if crash is None:
        running.announce("draining")
        await _drain(app)
    await _stop(app)
    if crash is not None:
        raise _explain(crash) from crash


async def _run_until(
    app: StreamApp, stop: asyncio.Event, beside: Iterable[Callable[[], Coroutine[Any, Any, None]]]
) -> BaseException | None:
    """Run until `stop` is set (None), or the app or one of those `beside` it fails (why)."""
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(stop.wait())
    ended = asyncio.ensure_future(app.wait_until_stopped())
    running: list[asyncio.Task[None]] = []
    waiting: set[asyncio.Future[Any]] = {starting, stopping, ended}
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            failed = next((e for one in done if (e := one.exception()) is not None), None)
            if failed is None and ended in done:
                return app.crash_reason or RuntimeError("faust stopped and gave no reason")
            if failed is not None or stopping in done:
                return failed
            waiting.discard(starting)
            running = [asyncio.create_task(run()) for run in beside]
            waiting.update(running)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _drain(app: StreamApp) -> None:
    """Let the worker finish the batch in hand."""
    if app.worker is not None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.worker.finish(), STOP_TIMEOUT_S)


async def _stop(app: StreamApp) -> None:
    """Commit what is acknowledged and leave, within a bounded time."""
    try:
        await asyncio.wait_for(app.stop(), STOP_TIMEOUT_S)
    except TimeoutError:
        log.warning("faust did not stop within %g s; it is left behind", STOP_TIMEOUT_S)
    await app.probe.close()
    await app.tail.close()


def _explain(crash: BaseException) -> RiverrunError:
    if isinstance(crash, RiverrunError):
        return crash
    return RiverrunError(f"the stream worker failed: {crash!r}")
