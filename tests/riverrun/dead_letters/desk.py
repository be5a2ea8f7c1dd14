"""What an operator has at the desk: a worker that cleans for a while, and the command line."""

import contextlib

from click.testing import CliRunner

from riverrun.cli import root
from riverrun.settings import Settings
from tests.stream import running_worker
from tests.stream.running_worker import Readout

BAD = b'{"text": 7, "source": "wiki"}'


def clean(settings: Settings) -> None:
    """Let a worker clean what is in `raw`."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=500,
    )
    consumer.assign([TopicPartition(f"{settings.kafka.topic_prefix}raw", p) for p in range(4)])
    wanted = {(record.partition, record.offset) for record in consumer}
    consumer.close()
    with contextlib.closing(Readout(settings)) as readout, running_worker.running(settings):
        readout.wait_for(wanted)


def riverrun(settings: Settings, *arguments: str) -> str:
    kafka = settings.kafka
    assert kafka.bootstrap_servers is not None
    options = [
        *("--data-dir", str(settings.data_dir), "--bootstrap-servers", kafka.bootstrap_servers),
        *("--set", f"kafka.topic_prefix={kafka.topic_prefix}"),
    ]
    result = CliRunner().invoke(root, [*arguments, *options])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output
