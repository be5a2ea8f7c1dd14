"""Commands to the learner, and its answer.

A command is a record of the `control` topic. The learner answers in the audit log, `versions`. What
is expected of it:

* for every Command it has acted on, or refused to act on, a VersionEvent whose `command` is the
  command's id. The first such event is the outcome;
* of the kind `refused` when it refuses, with the cause as `reason`. Any other kind says that it is
  done: `promoted` for promote, `held` for hold, `rolled_back` for roll_back, `paused`, `resumed`,
  `undone`, `source_released`, and for release whichever tells best what followed;
* `version` is the version that is served, or to be served, from then on;
* a command whose id was acted on before is not acted on again; its event needs no repetition.

`riverrun/audit_log.py` finds it. Called by `serving/services/admin.py`; one thread a command that
waits.
"""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from riverrun.audit_log import answer_to, go_to_tail
from riverrun.commands import Command
from riverrun.errors import BrokerError
from riverrun.kafka import Topics, bootstrap_servers, client_options, why
from riverrun.records import VersionEvent, encode
from riverrun.settings import Settings
from serving.kafka_writer import PATIENCE_S, KafkaWriter

MAX_WAITING = 8
"""Commands whose answer is read at once: each has a thread and a connection. Others wait for one of
these, within their time."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """Where the command is, and the learner's answer, if it came in time."""

    topic: str
    partition: int
    offset: int
    event: VersionEvent | None


class Commander:
    """The `control` topic, as one server writes it."""

    def __init__(self, settings: Settings, writer: KafkaWriter) -> None:
        topics = Topics(settings.kafka.topic_prefix)
        self.topic, self._audit = topics.control, topics.versions
        self._settings = settings
        self._writer = writer
        self._threads = ThreadPoolExecutor(MAX_WAITING, thread_name_prefix="audit-log")

    async def send(self, command: Command, wait_s: float) -> Commanded:
        """
        Raises:
            BrokerError, NotRunning: Kafka is away; sent again with the same id, it acts once.
        """
        place = await self._writer.write(self.topic, command.id, encode(command))
        event: VersionEvent | None = None
        if wait_s > 0:
            gone = threading.Event()
            loop = asyncio.get_running_loop()
            deadline = time.monotonic() + wait_s
            reading = loop.run_in_executor(self._threads, self._answer, command.id, deadline, gone)
            try:
                # The time runs for one that has no thread yet, too.
                event = await asyncio.wait_for(reading, wait_s)
            except TimeoutError:
                event = None
            finally:
                gone.set()
        return Commanded(self.topic, *place, event)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(
        self, command_id: str, deadline: float, gone: threading.Event
    ) -> VersionEvent | None:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        servers = bootstrap_servers(self._settings, 0.0)
        timeout_ms = int(PATIENCE_S * 1000)
        try:
            consumer = KafkaConsumer(
                **client_options(self._settings.kafka, servers),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                bootstrap_timeout_ms=timeout_ms,
            )
            try:
                go_to_tail(consumer, self._audit)
                return answer_to(consumer, command_id, deadline, gone.is_set)
            finally:
                consumer.close()
        except (KafkaError, OSError) as error:
            said = why(self._settings.kafka, error)
            raise BrokerError(
                f"the command {command_id} is written, and its answer cannot be read: {said}"
            ) from error
