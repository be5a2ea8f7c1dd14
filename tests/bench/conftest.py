"""Benches set torch up as the learner does; the next test finds it as it was."""

from collections.abc import Iterator

import pytest
import torch

from riverrun.tokenizer import Tokenizer
from tests.learner import fakes


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return fakes.tokenizer_in(tmp_path_factory.mktemp("tiny"))
