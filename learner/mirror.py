"""The learned offsets as a consumer group, for lag dashboards. Nobody ever reads them back.

What counts is in the checkpoint and the journal; this is for tools that know consumer groups and
nothing else (`kafka-consumer-groups.sh --describe`). A thread of its own, since Kafka may be away.

Knows nothing of steps. Fed by `loop.py`.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

INTERVAL_S = 5.0
RETRY_S = 0.2
"""Between attempts at the end; a group that is new has no coordinator for a moment."""

log = logging.getLogger(__name__)


class Mirror:
    """Offsets of one topic, committed to the group `group` now and then, and at the end."""

    def __init__(self, options: Mapping[str, Any], topic: str, group: str) -> None:
        self._options = options
        self._topic = topic
        self._group = group
        self._wanted: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._ended = threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def show(self, next_clean: Mapping[int, int]) -> None:
        """The next offsets to learn, by partition."""
        self._wanted = dict(next_clean)

    def close(self, timeout_s: float) -> None:
        self._give_up_at = time.monotonic() + timeout_s
        self._ended.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        admin: KafkaAdminClient | None = None
        while not self._ended.is_set() or self._wanted != self._told:
            if self._ended.wait(INTERVAL_S):
                time.sleep(RETRY_S)
            if time.monotonic() >= self._give_up_at:
                break
            wanted = self._wanted
            if wanted == self._told:
                continue
            try:
                if admin is None:
                    admin = KafkaAdminClient(**self._options)
                offsets = {
                    TopicPartition(self._topic, partition): OffsetAndMetadata(offset, "", -1)
                    for partition, offset in wanted.items()
                }
                admin.alter_group_offsets(self._group, offsets)
            except KafkaError as error:
                log.warning("the learned offsets are not mirrored now, trying again: %r", error)
            else:
                self._told = wanted
        if admin is not None:
            admin.close()
