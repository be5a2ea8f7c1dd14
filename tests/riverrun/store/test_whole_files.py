import contextlib
from collections.abc import Iterator

import pytest

from riverrun.errors import InvalidValue, LeaseLost, StoreError, VersionRefused
from riverrun.store import VersionStore
from riverrun.store.whole_files import WholeFiles


@pytest.fixture
def files(store: VersionStore) -> WholeFiles:
    return store.files


def put(files: WholeFiles, name: str, *contents: str) -> None:
    """A directory below `all` with a file for each of the contents, which is its name too."""
    with files.scratch("all", name) as scratch:
        for one in contents:
            (scratch / one).write_text(one)
        files.put_directory(scratch, contents, "all", name)


def test_a_url_that_nothing_opens_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"store\.url: 'nonsense://x' is not allowed"):
        WholeFiles("nonsense://x")


def test_a_directory_is_found_by_each_of_its_files(files: WholeFiles) -> None:
    put(files, "one", "a", "b")
    put(files, "two", "b")
    assert sorted(files.directories_with("b", "all")) == ["one", "two"]
    assert files.directories_with("a", "all") == ["one"]
    assert files.read("all", "one", "a") == b"a"


def test_the_last_file_of_a_directory_is_behind_the_guard(files: WholeFiles) -> None:
    @contextlib.contextmanager
    def lost() -> Iterator[None]:
        raise LeaseLost("another learner has it")
        yield

    files.fence(lost)
    with pytest.raises(LeaseLost):
        put(files, "one", "a", "b")
    assert files.directories_with("b", "all") == []


def test_what_cannot_be_written_is_named_and_leaves_no_scratch(files: WholeFiles) -> None:
    with (
        pytest.raises(StoreError, match=r"the thing could not be written to .*: no room"),
        files.scratch("all", "the thing") as scratch,
    ):
        raise OSError("no room")
    assert not scratch.exists()


def test_other_bytes_than_the_hash_says_are_refused(files: WholeFiles) -> None:
    put(files, "one", "a")
    gone = VersionRefused("gone")
    with (
        pytest.raises(VersionRefused, match="the thing have SHA-256"),
        files.verified("0" * 64, "the thing", gone, "all", "one", "a"),
    ):
        pass
    with (
        pytest.raises(VersionRefused, match="gone"),
        files.verified("0" * 64, "the thing", gone, "all", "one", "b"),
    ):
        pass
