"""How long a command waits for the learner's answer, whatever others wait for."""

import asyncio
import threading
import time
from typing import cast

from riverrun.commands import Command, new_command
from riverrun.records import VersionEvent
from riverrun.settings import Settings
from serving.commander import MAX_WAITING, Commander
from serving.kafka_writer import KafkaWriter
from tests.serving.running_server import wait_for


class Written:
    """Every record is in Kafka at once."""

    async def write(self, *_: object) -> tuple[int, int]:
        return 0, 7


class Unanswered(Commander):
    """A learner that never answers, read for as long as anybody waits."""

    def __init__(self) -> None:
        super().__init__(Settings(), cast(KafkaWriter, Written()))
        self.reading: list[str] = []
        self.left: list[str] = []

    def _answer(
        self, command_id: str, deadline: float, gone: threading.Event
    ) -> VersionEvent | None:
        self.reading.append(command_id)
        gone.wait(deadline - time.monotonic())
        self.left.append(command_id)
        return None


def order() -> Command:
    return new_command("hold", "me")


async def test_a_command_waits_no_longer_than_it_said_behind_others_that_wait_long() -> None:
    commander = Unanswered()
    others = [asyncio.create_task(commander.send(order(), 600)) for _ in range(MAX_WAITING)]
    try:
        await all_in(commander.reading)
        hurried = order()
        async with asyncio.timeout(20):
            done = await commander.send(hurried, 0.2)
        assert (done.partition, done.offset, done.event) == (0, 7, None)
        assert hurried.id not in commander.reading
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        commander.close()
    # Nobody waits for them: all threads go on.
    await all_in(commander.left)


async def all_in(some: list[str]) -> None:
    await asyncio.to_thread(wait_for, lambda: len(some) == MAX_WAITING, "every thread")
