"""How far behind the raw topic this worker is: in records, and in the age of the oldest.

Asked of Kafka itself, since the consumer's own idea of a partition's end is as old as its last
fetch, and it does not fetch while the worker is behind. Started by `stream.main`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from riverrun.errors import BrokerError
from riverrun.metrics import StreamMetrics
from stream.gap_probe import GapProbe

LOOK_S = 2.0

log = logging.getLogger(__name__)


class LagWatch:
    """next_offsets: of each partition that this worker has, what is cleaned next."""

    def __init__(
        self,
        metrics: StreamMetrics,
        probe: GapProbe,
        next_offsets: Callable[[], Mapping[int, int]],
        queue_size: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._probe = probe
        self._next_offsets = next_offsets
        self._queue_size = queue_size
        self._shown: set[int] = set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except BrokerError as error:
                log.warning("the lag is not known now: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Measure once. Raises BrokerError when Kafka does not tell."""
        self._metrics.queue_records.set(self._queue_size())
        positions = dict(self._next_offsets())
        for partition in self._shown - positions.keys():
            self._metrics.lag.remove(partition)
            self._metrics.oldest_seconds.remove(partition)
        self._shown = set(positions)
        ends = await self._probe.end_offsets(list(positions))
        for partition, position in positions.items():
            lag = max(0, ends[partition] - position)
            age_s = 0.0
            if lag:
                oldest_ms = await self._probe.first_timestamp_ms(partition, position)
                if oldest_ms is None:
                    lag = 0  # only the marks of transactions are left
                else:
                    age_s = max(0.0, time.time() - oldest_ms / 1000)
            self._metrics.lag.labels(partition).set(lag)
            self._metrics.oldest_seconds.labels(partition).set(age_s)
