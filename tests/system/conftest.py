"""One whole system, of real processes, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.settings import GateSettings, KafkaSettings, Settings
from riverrun.supervisor import System
from tests.system.river import River


@pytest.fixture(scope="package")
def river(tmp_path_factory: pytest.TempPathFactory) -> Iterator[River]:
    """A running system with the model `tiny`, everything ready.

    Without the gate's rules: these tests count records and versions, and a rule may rightly hold
    the last version, or keep a source apart.
    """
    directory: Path = tmp_path_factory.mktemp("river")
    settings = Settings(
        data_dir=directory / "riverrun-data",
        model="tiny",
        kafka=KafkaSettings(heap_mb=256),
        gate=GateSettings(rules=()),
    )
    with System(settings) as system:
        system.wait_ready(180)
        yield River(settings, system)
