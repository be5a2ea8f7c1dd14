"""The learner's answers in the audit log, the topic `versions`.

The newest `TAIL` events are read, so a command that is sent again finds the answer that came
before. Called by whoever sends commands: `riverrun/tell.py` and `serving/commander.py`.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from riverrun.errors import BrokerError
from riverrun.records import VersionEvent

TAIL = 2000
"""Events of a partition that are looked through for an answer that came before."""
POLL_MS = 100


def go_to_tail(consumer: Any, topic: str) -> None:
    """Let a consumer without a group read the newest events and all that follow.

    Raises:
        BrokerError: there is no such topic.
    """
    from kafka import TopicPartition

    places = [
        TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()
    ]
    if not places:
        raise BrokerError(f"the topic `{topic}` is missing")
    consumer.assign(places)
    first, end = consumer.beginning_offsets(places), consumer.end_offsets(places)
    for place in places:
        consumer.seek(place, max(first[place], end[place] - TAIL))


def answer_to(
    consumer: Any, command_id: str, deadline: float, is_gone: Callable[[], bool] = lambda: False
) -> VersionEvent | None:
    """The first event that carries the command's id; None when there was none by then.

    deadline: of `time.monotonic`. is_gone: nobody waits any more.
    """
    while not is_gone() and (left_s := deadline - time.monotonic()) > 0:
        found = consumer.poll(timeout_ms=min(POLL_MS, max(1, int(left_s * 1000))))
        for records in found.values():
            for record in records:
                event = _event(record.value)
                if event is not None and event.command == command_id:
                    return event
    return None


def _event(value: bytes | None) -> VersionEvent | None:
    """None for what is no event: anybody may write to a topic."""
    try:
        return None if value is None else msgspec.json.decode(value, type=VersionEvent)
    except msgspec.DecodeError:
        return None
