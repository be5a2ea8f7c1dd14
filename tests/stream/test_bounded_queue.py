from types import SimpleNamespace
from typing import Any

from mode.utils.queues import FlowControlEvent

from stream.bounded_queue import MAX_PLACES, PLACE_BYTES, BoundedQueue


def event(num_bytes: int) -> Any:
    return SimpleNamespace(message=SimpleNamespace(value=b"x" * num_bytes))


async def test_the_queue_is_full_by_bytes_as_well_as_by_records() -> None:
    flow = FlowControlEvent(initially_suspended=False)
    queue = BoundedQueue(maxsize=MAX_PLACES, flow_control=flow, clear_on_resume=False)
    num_bytes = 0
    while not queue.full():
        queue.put_nowait(event(1_000_000))
        num_bytes += 1_000_000
    assert num_bytes < MAX_PLACES * PLACE_BYTES * 1.02
    assert queue.num_records == num_bytes // 1_000_000
    while not queue.empty():
        queue.get_nowait()
    assert (queue.qsize(), queue.num_records) == (0, 0)
    while not queue.full():
        queue.put_nowait(event(10))
    assert queue.num_records == MAX_PLACES
    queue.clear()
    assert (queue.qsize(), queue.num_records) == (0, 0)
