"""Files below one fsspec URL: whole for whoever reads them, and of the bytes that their hash says.

On a local file system a file is written beside its final name, fsynced and renamed. An object
store has no rename, but shows an object when all of it is there; of several files the last one put
is the one that makes the rest count.

Knows nothing of versions. Called by `versions.py` and `retention.py`; the learner's lease lies here
too.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import fsspec

from riverrun.errors import InvalidValue, RiverrunError, StoreError, VersionRefused
from riverrun.workspace import fsync, replace_file

PARTIAL = ".partial-"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class WholeFiles:
    """See the module. Raises InvalidValue for a URL that fsspec cannot open."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InvalidValue("store.url", url, f"a path or an fsspec URL ({error})") from None
        self.is_local = "file" in _protocols(self.fs)
        self._guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext

    def path(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    # Writing

    def fence(self, guard: Callable[[], AbstractContextManager[None]]) -> None:
        """Enter `guard` around each change that readers can see: it raises LeaseLost to stop it."""
        self._guard = guard

    @contextlib.contextmanager
    def scratch(self, folder: str, what: str) -> Iterator[Path]:
        """A directory in `folder`, for a rename to do, or on this machine; gone at the end.

        what: is written; an OSError within is a StoreError that says so.
        """
        parent: str | None = None
        if self.is_local:
            parent = self.path(folder)
            Path(parent).mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=parent))
        try:
            yield scratch
        except OSError as error:
            raise StoreError(f"{what} could not be written to {self.url}: {error}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def put_directory(self, scratch: Path, names: Sequence[str], *final: str) -> None:
        """Give the files `names` of a scratch directory their final place, the last one last."""
        if self.is_local:
            for name in names:
                fsync(scratch / name)
            with self._guard():
                scratch.rename(self.path(*final))
            fsync(Path(self.path(*final)).parent)
        else:
            *before, last = names
            for name in before:
                self.fs.put_file(str(scratch / name), self.path(*final, name))
            with self._guard():
                self.fs.put_file(str(scratch / last), self.path(*final, last))

    def put_file(self, file: Path, *final: str) -> None:
        """Give one file of a scratch directory its final place."""
        path = self.path(*final)
        if self.is_local:
            fsync(file)
            Path(path).parent.mkdir(exist_ok=True)
            with self._guard():
                file.rename(path)
            fsync(Path(path).parent)
        else:
            with self._guard():
                self.fs.put_file(str(file), path)

    def replace(self, data: bytes, *final: str) -> None:
        """A reader sees the old bytes or these."""
        with self._guard():
            if self.is_local:
                replace_file(Path(self.path(*final)), data)
            else:
                self.fs.pipe_file(self.path(*final), data)

    def remove(self, *final: str) -> None:
        with self._guard():
            self.fs.rm_file(self.path(*final))

    def sweep(self, folder: str) -> None:
        """Remove what killed writers left half written in `folder`."""
        if self.is_local:
            for partial in Path(self.path(folder)).glob(f"{PARTIAL}*"):
                shutil.rmtree(partial, ignore_errors=True)

    # Reading

    def has(self, *parts: str) -> bool:
        return bool(self.fs.exists(self.path(*parts)))

    def read(self, *parts: str) -> bytes:
        """Raises FileNotFoundError."""
        data: bytes = self.fs.cat_file(self.path(*parts))
        return data

    def directories_with(self, file: str, folder: str) -> list[str]:
        """The names of the directories in `folder` that have `file`, in no order."""
        if self.is_local:
            # fsspec stats every file on the way: 0.3 s at 5,000 versions, this 0.02 s.
            found = [path.parent.name for path in Path(self.path(folder)).glob(f"*/{file}")]
        else:
            self.fs.invalidate_cache()
            found = [path.split("/")[-2] for path in self.fs.glob(self.path(folder, "*", file))]
        return [name for name in found if not name.startswith(PARTIAL)]

    @contextlib.contextmanager
    def verified(self, sha256: str, what: str, gone: RiverrunError, *parts: str) -> Iterator[Path]:
        """A local file with the bytes of this hash. Raises `gone`, or VersionRefused for others."""
        with contextlib.ExitStack() as stack:
            local = Path(self.path(*parts))
            try:
                if not self.is_local:
                    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="riverrun-"))
                    local = Path(directory) / parts[-1]
                    self.fs.get_file(self.path(*parts), str(local))
                digest = sha256_of(local)
            except FileNotFoundError:
                raise gone from None
            if digest != sha256:
                raise VersionRefused(
                    f"{what} have SHA-256 {digest[:16]}…, the manifest says {sha256[:16]}…"
                )
            yield local


def _protocols(fs: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
