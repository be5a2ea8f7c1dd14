"""What a slow reader has not fetched is joined; nothing is lost and nothing piles up."""

import asyncio

import pytest

from riverrun.errors import ModelError
from serving.mailbox import Mailbox
from serving.sequence import Delta


async def test_deltas_that_wait_are_taken_as_one() -> None:
    mailbox = Mailbox()
    for i in range(1000):
        mailbox.put(Delta(f"{i},", 1))
    delta = await mailbox.take()
    assert delta == Delta("".join(f"{i}," for i in range(1000)), 1000)


async def test_a_taker_waits_for_what_is_to_come() -> None:
    mailbox = Mailbox()
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    mailbox.put(Delta("late", 2))
    assert await taking == Delta("late", 2)


async def test_an_error_is_raised_where_the_answer_is_read() -> None:
    mailbox = Mailbox()
    mailbox.put(Delta("lost", 1))
    mailbox.put(Delta(error=ModelError("broken")))
    with pytest.raises(ModelError, match="broken"):
        await mailbox.take()
