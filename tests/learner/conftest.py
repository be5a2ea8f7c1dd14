"""Bits are compared here, so the number of threads and the algorithms are fixed."""

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from learner import workers
from learner.journal import Journal
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.torch_settings import as_they_were


@pytest.fixture(autouse=True)
def _same_bits_each_time() -> Iterator[None]:
    with as_they_were():
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        yield


@pytest.fixture
def two_workers() -> Iterator[None]:
    workers.share_out(2)
    yield
    workers.share_out(1)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return fakes.tokenizer_in(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Call it with the number of bytes that a file may have from now on, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(num_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def open_journal() -> Iterator[Callable[[Path], Journal]]:
    """Opens journals, and closes them at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda directory: stack.enter_context(contextlib.closing(Journal(directory)))
