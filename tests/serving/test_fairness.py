"""Rows between clients that want more than there are."""

import pytest

from riverrun.errors import Overloaded
from serving.fair_queue import FairQueue
from tests.serving.published import Published
from tests.serving.stepped_engine import SteppedEngine


def test_a_client_with_two_hundred_waiting_delays_anothers_first_by_one_row(
    published: Published,
) -> None:
    stepped = SteppedEngine(published, max_rows=2, max_waiting=300)
    stepped.offer(published.publish(1))
    greedy = [stepped.submit(f"mine {i}", 6, client="greedy") for i in range(200)]
    stepped.engine.step()
    modest = stepped.submit("may I", 6, client="modest")
    ended = 0
    while modest.row is None:
        stepped.engine.step()
        ended = sum(stepped.deltas[one] != [] and bool(stepped.last(one).end) for one in greedy)
    assert ended <= 2
    second = stepped.submit("once more", 6, client="modest")
    stepped.finish()
    assert stepped.last(second).end is not None
    assert all(stepped.last(one).end is not None for one in greedy)


def test_rows_are_shared_equally_between_three_clients_that_all_wait(published: Published) -> None:
    stepped = SteppedEngine(published, max_rows=3, max_waiting=200)
    stepped.offer(published.publish(1))
    of = {"a": 40, "b": 20, "c": 20}
    waiting = [
        (client, stepped.submit(f"{client} {i}", 4, client=client))
        for client, count in of.items()
        for i in range(count)
    ]
    while sum(one.num_generated > 0 for _, one in waiting) < 48:
        stepped.engine.step()
    admitted = [client for client, one in waiting if one.row is not None]
    for client in of:
        assert abs(admitted.count(client) - len(admitted) / 3) <= 2
    stepped.finish()


def test_one_client_alone_is_served_in_the_order_that_it_asked(published: Published) -> None:
    stepped = SteppedEngine(published)
    queue = FairQueue()
    asked = [stepped.submit(f"{i}", client="one") for i in range(8)]
    for sequence in asked:
        queue.add(sequence)
    queue.remove({asked[2]})
    assert [queue.pop({"one": i}) for i in range(len(queue))] == [*asked[:2], *asked[3:]]
    assert not queue


def test_one_client_cannot_fill_the_queue(published: Published) -> None:
    stepped = SteppedEngine(published, max_rows=2, max_waiting=8)
    stepped.offer(published.publish(1))
    for i in range(8):
        stepped.submit(f"{i}", client="greedy")
    with pytest.raises(Overloaded, match="one client"):
        stepped.submit("too many", client="greedy")
    stepped.submit("there is room", client="modest")
    stepped.finish()
    stepped.submit("again", client="greedy")
    stepped.finish()
