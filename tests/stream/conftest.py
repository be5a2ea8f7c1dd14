"""What tests of the whole process share: a producer, as a client has one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stream.running_worker import make_producer


@pytest.fixture
def producer(kafka: str) -> Iterator[Any]:
    yield from make_producer(kafka)
