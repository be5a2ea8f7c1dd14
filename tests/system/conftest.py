"""One whole system, of real processes, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.settings import KafkaSettings, Settings
from riverrun.supervisor import System
from tests.system.river import River


@pytest.fixture(scope="package")
def river(tmp_path_factory: pytest.TempPathFactory) -> Iterator[River]:
    """A running system with the model `tiny`, everything ready."""
    directory: Path = tmp_path_factory.mktemp("river")
    settings = Settings(
        data_dir=directory / "riverrun-data",
        model="tiny",
        kafka=KafkaSettings(heap_mb=256),
    )
    with System(settings) as system:
        system.wait_ready(180)
        yield River(settings, system)
