import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.store import VersionStore


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VersionStore]:
    """The same laws for a directory and for an object store."""
    if request.param == "local":
        yield VersionStore(str(tmp_path / "store"))
        return
    store = VersionStore(f"memory://{uuid.uuid4().hex}")
    yield store
    if store.files.fs.exists(store.files.root):
        store.files.fs.rm(store.files.root, recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> VersionStore:
    return VersionStore(str(tmp_path / "store"))
