"""Version events to the `versions` topic, the public audit log, without making learning wait.

A version's events are sent when it is promoted; the journal notes it when Kafka has acknowledged
them. Events that a crash or a long absence of Kafka kept back are told again at the next start, so
each arrives at least once. The topic is compacted, by the events' own keys.

Knows nothing of weights. Called by `publish.py` and `loop.py`.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from learner.journal import Announced, Journal
from riverrun.records import VersionEvent, VersionEventKind, encode
from riverrun.store import Manifest

log = logging.getLogger(__name__)

LONGEST_BLOCK_MS = 1000
"""How long sending may wait for Kafka's metadata: text waits meanwhile."""
OUTCOMES: dict[str, VersionEventKind] = {
    "promote": "promoted",
    "hold": "held",
    "roll_back": "rolled_back",
}


class Announcements:
    """Sends, and remembers what is not acknowledged yet."""

    def __init__(self, options: Mapping[str, Any], topic: str, journal: Journal) -> None:
        self._producer = KafkaProducer(
            **options, acks="all", max_block_ms=LONGEST_BLOCK_MS, metrics_enabled=False
        )
        self._topic = topic
        self._journal = journal
        self._sent: dict[str, list[Any]] = {}
        self._to_send: dict[str, Manifest] = {}

    def tell(self, manifest: Manifest) -> None:
        """Send the events of a promoted version, now or as soon as Kafka takes them."""
        self._to_send[manifest.version] = manifest
        self.advance()

    def advance(self) -> None:
        """Send what waits; note in the journal what was acknowledged. Never waits long."""
        for version, futures in list(self._sent.items()):
            if not all(future.is_done for future in futures):
                continue
            del self._sent[version]
            failed = [future.exception for future in futures if future.failed()]
            if failed:
                log.warning("the events of %s did not reach Kafka: %r", version, failed[0])
                continue
            self._to_send.pop(version, None)
            try:
                self._journal.append(Announced(version))
            except OSError as error:
                log.warning("that %s was announced is not noted; told again: %s", version, error)
        for version, manifest in self._to_send.items():
            if version in self._sent:
                continue
            try:
                self._sent[version] = [
                    self._producer.send(self._topic, key=event.key.encode(), value=encode(event))
                    for event in events_of(manifest)
                ]
            except KafkaError as error:
                log.warning("Kafka takes no version events now, trying again: %r", error)
                break

    def say(self, event: VersionEvent) -> Any:
        """Send one event of another kind: Kafka's future, or None when it takes none now."""
        try:
            return self._producer.send(self._topic, key=event.key.encode(), value=encode(event))
        except KafkaError as error:
            log.warning("Kafka takes no version events now, trying again: %r", error)
            return None

    def close(self, timeout_s: float) -> None:
        """Wait for what was sent, at most so long."""
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaError as error:
            log.warning("some version events were not acknowledged; told again later: %r", error)
        self.advance()
        self._producer.close(timeout=timeout_s)


def events_of(manifest: Manifest) -> list[VersionEvent]:
    """All that is told of a version. What became of it comes last, in place of `published`."""
    return [
        event_of(manifest, "published"),
        *(event_of(manifest, one.kind, one.subject) for one in manifest.consequences),
        event_of(manifest, OUTCOMES[manifest.decision]),
    ]


def event_of(manifest: Manifest, kind: VersionEventKind, subject: str = "") -> VersionEvent:
    return VersionEvent(
        kind=kind,
        version=manifest.version,
        parent=manifest.parent,
        step=manifest.step,
        reason=manifest.reason,
        at_ms=int(time.time() * 1000),
        offsets=manifest.offsets,
        metrics=manifest.metrics,
        subject=subject or None,
    )
