"""The faust app: who fetches, who owns which partition, what is committed.

faust gives us the consumer group, the flow control through rebalances and the commits. Of its agent
layer we take the agent's place in the app's life, and not its stream: `Stream` acknowledges an
event whose agent raised (faust-streaming #315, #527), all events of a `take` that was never
finished, and those it skips after a rebalance, and then their offsets are committed. So our worker
reads the channel's queue and acknowledges by itself.

Nothing happens at import. Called by `stream.main` and the tests.
"""

from pathlib import Path
from typing import Any

import faust
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from riverrun.kafka import Topics
from riverrun.metrics import StreamMetrics
from riverrun.settings import Settings
from riverrun.workspace import Workspace
from stream.bounded_queue import MAX_PLACES, BoundedQueue
from stream.broker import broker_urls, credentials
from stream.clean_tail import CleanTail
from stream.committed_transport import CommittedTransport
from stream.gap_probe import GapProbe
from stream.letter_writer import LetterWriter
from stream.offset_notes import OffsetNotes
from stream.pipeline import Pipeline
from stream.raw_order import RawOrder
from stream.stored_notes import stored_note
from stream.verdicts import Verdicts
from stream.worker import Worker
from stream.writer import Writer

COMMIT_INTERVAL_S = 1.0
"""What a crash makes us clean again, at most, beside the batch in hand."""

SESSION_TIMEOUT_S = 10.0
"""A worker that is silent this long loses its partitions to the others."""

HEARTBEAT_S = 2.0

WRITE_BATCH_BYTES = 524_288
"""One write to Kafka. Below the 1 MB that a Kafka with default settings takes."""


class StreamApp(faust.App):
    """A faust app with our queue, and the worker that it runs."""

    worker: Worker | None = None
    pipeline: Pipeline
    probe: GapProbe
    tail: CleanTail
    notes: OffsetNotes
    queue: BoundedQueue | None = None

    def next_offsets(self) -> dict[int, int]:
        """Of each partition that is ours, what is cleaned next."""
        positions = {} if self.worker is None else self.worker.positions
        return {
            tp.partition: positions.get(tp.partition) or _committed(self, tp) or 0
            for tp in self.consumer.assignment()
        }

    def queue_size(self) -> int:
        """Raw records that wait for the worker."""
        return 0 if self.queue is None else self.queue.num_records

    def writer(self, topic: str) -> Writer:
        """Of batches to a topic, once the app has started."""
        # aiokafka's own, for the batches that `Writer` builds; it runs since before the agents do.
        driver: Any = self.producer
        return Writer(driver._ensure_producer(), topic)

    def FlowControlQueue(
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> BoundedQueue:
        return BoundedQueue(
            maxsize=maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume
        )


def build_app(
    settings: Settings,
    servers: list[str],
    metrics: StreamMetrics,
    instance_id: str | None = None,
) -> StreamApp:
    """The app, not yet started; inside the event loop that it is to run in.

    instance_id: who this worker is across restarts, so that one that comes back after a crash has
    its partitions at once instead of when its old session has timed out.
    """
    kafka = settings.kafka
    topics = Topics(kafka.topic_prefix)
    group = f"{kafka.topic_prefix}riverrun-stream"
    pipeline = Pipeline(settings.stream, metrics)
    app = StreamApp(group, **faust_options(settings, servers, instance_id))
    app.pipeline = pipeline
    app.notes = OffsetNotes()
    app.finalize()
    app.transport = CommittedTransport(app.conf.broker_consumer, app)
    app.probe = GapProbe(kafka, servers, topics.raw)
    app.tail = CleanTail(
        kafka, servers, topics.clean, lambda document: pipeline.fingerprint(document, topics.raw)
    )
    raw = app.topic(topics.raw, value_type=bytes, key_type=bytes, internal=False)

    @app.agent(raw, name="clean", supervisor_strategy=CrashingSupervisor)
    async def clean(stream: Any) -> None:
        app.worker = Worker(
            settings.stream,
            metrics,
            RawOrder(lambda partition: _committed(app, TP(topics.raw, partition)), app.probe),
            Verdicts(
                settings.stream,
                metrics,
                pipeline,
                app.tail,
                app.notes,
                lambda partition: stored_note(kafka, servers, group, topics.raw, partition),
            ),
            app.writer(topics.clean),
            LetterWriter(app.writer(topics.dead_letter), metrics.rejections),
            lambda: app.consumer_generation_id,
            kafka.num_partitions,
        )
        app.queue = stream.channel.queue
        await app.worker.run(stream.channel.queue)

    return app


def faust_options(
    settings: Settings, servers: list[str], instance_id: str | None
) -> dict[str, Any]:
    """Keyword arguments of `faust.App`."""
    kafka = settings.kafka
    session_s = SESSION_TIMEOUT_S
    request_s = max(kafka.request_timeout_s, session_s)
    return {
        "broker": broker_urls(servers),
        "broker_credentials": credentials(kafka),
        "broker_client_id": "riverrun-stream",
        "broker_commit_interval": COMMIT_INTERVAL_S,
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": HEARTBEAT_S,
        "broker_rebalance_timeout": request_s,
        "broker_request_timeout": request_s,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": instance_id,
        # A larger record still comes, alone (KIP-74): memory stays bounded by this.
        "consumer_max_fetch_size": min(kafka.max_record_bytes, 4_194_304),
        # New partitions and leaders are seen within this.
        "consumer_metadata_max_age_ms": 60_000,
        "producer_acks": -1,
        "producer_linger": 0,
        "producer_max_batch_size": WRITE_BATCH_BYTES,
        "producer_max_request_size": kafka.max_record_bytes,
        "producer_request_timeout": request_s,
        "stream_buffer_maxsize": MAX_PLACES,
        "stream_wait_empty": False,
        # Its detector of stuck streams watches faust's own streams, of which we have none.
        "stream_processing_timeout": 1e9,
        "key_serializer": "raw",
        "value_serializer": "raw",
        "datadir": faust_directory(settings),
        "store": "memory://",
        "autodiscover": False,
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "worker_redirect_stdouts": False,
    }


def faust_directory(settings: Settings) -> Path:
    return Workspace(settings.data_dir).directory("stream")


def _committed(app: faust.App, tp: TP) -> int | None:
    """Where faust began to read: it seeks to the committed offsets after each rebalance, before any
    record comes, and keeps them here (`Consumer.perform_seek`)."""
    consumer: Any = app.consumer
    committed: int | None = consumer._committed_offset[tp]
    return committed
