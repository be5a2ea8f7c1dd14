"""Work in whole parts, side by side, in an order that does not depend on who was quicker."""

import threading
import time
from collections.abc import Sequence

import pytest
import torch

from learner import workers
from learner.machine import fix_arithmetic, this_machine


def test_one_worker_is_the_callers_own_thread() -> None:
    assert workers.num_workers() == 1
    found = workers.run([threading.get_ident] * 3)
    assert found == [threading.get_ident()] * 3


@pytest.mark.usefixtures("two_workers")
def test_two_calls_run_side_by_side_and_give_in_order() -> None:
    meet = threading.Barrier(2, timeout=30)

    def call(number: int) -> int:
        meet.wait()
        # The first one is the slower one.
        time.sleep(0.05 * (number == 0))
        return number

    assert workers.run([lambda: call(0), lambda: call(1)]) == [0, 1]


@pytest.mark.usefixtures("two_workers")
@pytest.mark.parametrize("num", range(6))
def test_any_number_of_calls_and_items(num: int) -> None:
    assert workers.run([lambda i=i: i for i in range(num)]) == list(range(num))  # type: ignore[misc]

    def doubled(items: Sequence[int]) -> list[int]:
        return [2 * item for item in items]

    assert workers.spread(doubled, range(num)) == [2 * i for i in range(num)]


@pytest.mark.usefixtures("two_workers")
@pytest.mark.parametrize("failing", [0, 1])
def test_what_one_raises_is_raised_once_the_others_have_ended(failing: int) -> None:
    ended = []

    def call(number: int) -> None:
        if number == failing:
            raise ZeroDivisionError(number)
        time.sleep(0.05)
        ended.append(number)

    with pytest.raises(ZeroDivisionError, match=str(failing)):
        workers.run([lambda: call(0), lambda: call(1)])
    assert ended == [1 - failing]
    assert workers.run([lambda: 1, lambda: 2]) == [1, 2]


def test_torch_has_one_thread_in_each_worker_and_the_machine_counts_all() -> None:
    try:
        fix_arithmetic(2)
        inside = workers.run([torch.get_num_threads] * 2)
        assert inside == [1, 1]
        assert this_machine(torch.device("cpu")).num_threads == 2
        fix_arithmetic(2 * workers.MOST_WORKERS)
        assert (workers.num_workers(), torch.get_num_threads()) == (workers.MOST_WORKERS, 2)
        assert this_machine(torch.device("cpu")).num_threads == 2 * workers.MOST_WORKERS
    finally:
        fix_arithmetic(1)
    assert this_machine(torch.device("cpu")).num_threads == 1
