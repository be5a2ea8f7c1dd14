"""What a slow reader has not fetched is joined; nothing is lost and nothing piles up."""

import asyncio

import pytest

from riverrun.errors import ModelError, SlowReader
from serving.mailbox import Mailbox
from serving.sequence import Delta, Switch
from tests.serving.published import Published


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


async def test_an_error_is_raised_where_the_answer_is_read_after_the_text_before_it() -> None:
    mailbox = Mailbox()
    mailbox.put(Delta("said", 1))
    mailbox.put(Delta(error=ModelError("broken")))
    assert await mailbox.take() == Delta("said", 1)
    with pytest.raises(ModelError, match="broken"):
        await mailbox.take()


async def test_a_mailbox_that_nobody_reads_gives_up_at_its_bound_and_holds_nothing() -> None:
    given_up: list[int] = []
    mailbox = Mailbox(100, lambda: given_up.append(1))
    for i in range(1000):
        mailbox.put(Delta(f"{i},", 1))
    assert given_up == [1]
    with pytest.raises(SlowReader, match="max_unread_tokens"):
        await mailbox.take()


async def test_what_is_read_in_time_may_be_longer_than_the_bound() -> None:
    mailbox = Mailbox(100)
    for i in range(1000):
        mailbox.put(Delta(f"{i},", 1))
        assert (await mailbox.take()).num_tokens == 1


async def test_texts_of_two_versions_are_never_joined_and_a_version_that_said_nothing_goes(
    published: Published,
) -> None:
    versions = [published.store.manifest(published.publish(step)) for step in (1, 2, 3)]
    mailbox = Mailbox()
    mailbox.put(Delta("one", 2))
    switches = [Switch(versions[1], 2), Switch(versions[2], 2)]
    for switch in switches:
        mailbox.put(Delta(switched=switch))
    mailbox.put(Delta("three", 1))
    assert await mailbox.take() == Delta("one", 2)
    assert await mailbox.take() == Delta("three", 1, switched=switches[1])
