"""Benches set torch up as the learner does; the next test finds it as it was."""

from collections.abc import Iterator

import pytest

from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.torch_settings import as_they_were


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    with as_they_were():
        yield


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return fakes.tokenizer_in(tmp_path_factory.mktemp("tiny"))
