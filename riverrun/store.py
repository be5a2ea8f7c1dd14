"""The version store: published weights, each beside the manifest that says what they are.

    model/               config.json, tokenizer.json, … : what weights need to speak (written once)
    origin/SHA256        the untouched model's weights, for versions that defer to them
    versions/ID/         weights.safetensors, manifest.json, PINNED (while it must not go)
    PROMOTED             the id that serving uses

On a local file system a version is written beside its final name, fsynced and renamed. On an
object store, which has no rename, the manifest is written last: a version exists when its manifest
does. The pointer is replaced after that. So a reader never sees half a version.

Written by the learner; read by serving and the command line. Knows nothing of tensors: `weights`
is a file.
"""

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import fsspec
import msgspec

from riverrun.errors import InvalidValue, RiverrunError, StoreError, UnknownVersion, VersionRefused
from riverrun.ladder import rungs
from riverrun.records import LeftOut, Span, VersionEventKind
from riverrun.settings import Settings
from riverrun.workspace import Workspace, fsync, replace_file

WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"
PINNED = "PINNED"
PARTIAL = ".partial-"


class Consequence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the decision on a version did besides; a line of the audit log. subject: a source, a
    probe group."""

    kind: VersionEventKind
    subject: str = ""


class Deferral(msgspec.Struct, frozen=True):
    """A version answers with its origin's weights where it is not at home (`riverrun/deferral.py`).

    origin: the SHA-256 of their file. margin: nats by which the learned weights have to find a
    prompt likelier than the origin does, to answer it.
    """

    origin: str
    margin: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is.

    version: `RUN-STEP-HASH`: the run, the step, the head of `sha256`. A step number alone would
      name other weights after a crash.
    offsets: per raw partition, the next offset that these weights have not seen.
    learned: what was learned since `parent`, step by step.
    num_held_out: documents kept apart so far, which no weights were trained on.
    newest_ms: Kafka's time of the newest record learned, ms since 1970; None before the first.
    metrics: loss and health at `step`, by metric name, and what the gate measured.
    decision: `promote`, `hold` or `roll_back`; reason: by which rules, or on what evidence.
    replaces: the run whose line of versions this one took over when something of it was undone.
    left_out: what was undone, so far: within the spans of `learned` too.
    deferral: where the origin answers; None: all is answered by these weights.
    """

    version: str
    parent: str | None
    run: str
    step: int
    created_ms: int
    model: str
    config_hash: str
    sha256: str
    num_bytes: int
    offsets: dict[int, int]
    learned: list[Span]
    num_documents: int
    num_tokens: int
    newest_ms: int | None
    metrics: dict[str, float]
    decision: str = "promote"
    reason: str = ""
    num_held_out: int = 0
    consequences: list[Consequence] = []
    replaces: str | None = None
    left_out: list[LeftOut] = []
    deferral: Deferral | None = None


def version_id(run: str, step: int, sha256: str) -> str:
    """The identity of weights: `3f2a-000120-9c1d44e0`. Ids of one run sort by step."""
    return f"{run}-{step:06d}-{sha256[:8]}"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class VersionStore:
    """Versions below one fsspec URL. Raises InvalidValue for a URL that fsspec cannot open."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InvalidValue("store.url", url, f"a path or an fsspec URL ({error})") from None
        self.is_local = "file" in _protocols(self.fs)
        self._guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext

    def _path(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    # Writing (the learner)

    def fence(self, guard: Callable[[], AbstractContextManager[None]]) -> None:
        """Enter `guard` around each change that readers can see: it raises LeaseLost to stop it."""
        self._guard = guard

    def publish(
        self, write_weights: Callable[[Path], None], describe: Callable[[str, int], Manifest]
    ) -> Manifest:
        """Write one version, all or nothing; it is not promoted yet.

        write_weights: writes the file at the path that it is given.
        describe: from the file's SHA-256 and size in bytes, the manifest.
        Publishing weights that are there already changes nothing (a replayed step).
        Raises StoreError, for a full disk among others, with nothing left behind.
        """
        with self._written(write_weights, "a version") as scratch:
            digest = sha256_of(scratch / WEIGHTS)
            manifest = describe(digest, (scratch / WEIGHTS).stat().st_size)
            replace_file(scratch / MANIFEST, msgspec.json.encode(manifest))
            self._install(scratch, manifest.version)
        return manifest

    def _install(self, scratch: Path, version: str) -> None:
        final = self._path("versions", version)
        if self.fs.exists(f"{final}/{MANIFEST}"):
            return
        if self.is_local:
            fsync(scratch / WEIGHTS)
            with self._guard():
                scratch.rename(final)
            fsync(Path(final).parent)
        else:
            self.fs.put_file(str(scratch / WEIGHTS), f"{final}/{WEIGHTS}")
            with self._guard():
                self.fs.put_file(str(scratch / MANIFEST), f"{final}/{MANIFEST}")

    @contextlib.contextmanager
    def _written(self, write_weights: Callable[[Path], None], what: str) -> Iterator[Path]:
        """A scratch directory with the weights in it; an OSError within is a StoreError."""
        with self._scratch() as scratch:
            try:
                write_weights(scratch / WEIGHTS)
                yield scratch
            except OSError as error:
                raise StoreError(f"{what} could not be written to {self.url}: {error}") from error

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A directory beside the final ones (so that a rename will do), gone at the end."""
        parent: str | None = None
        if self.is_local:
            parent = self._path("versions")
            Path(parent).mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def promote(self, version: str) -> None:
        """Let serving use `version` from now on. Raises UnknownVersion."""
        self.manifest(version)
        try:
            with self._guard():
                if self.is_local:
                    replace_file(Path(self._path("PROMOTED")), version.encode())
                else:
                    self.fs.pipe_file(self._path("PROMOTED"), version.encode())
        except OSError as error:
            raise StoreError(f"{version} could not be promoted in {self.url}: {error}") from error

    def put_model(self, files: Sequence[Path]) -> None:
        """Copy what weights need to speak (configuration, tokenizer); the same files each time."""
        self.fs.makedirs(self._path("model"), exist_ok=True)
        for file in files:
            self.fs.put_file(str(file), self._path("model", file.name))

    def put_origin(self, write_weights: Callable[[Path], None]) -> str:
        """Write the weights that versions defer to, all or nothing; their SHA-256.

        The same ones again change nothing. Raises StoreError, for a full disk among others.
        """
        with self._written(write_weights, "the origin's weights") as scratch:
            digest = sha256_of(scratch / WEIGHTS)
            if not self.has_origin(digest):
                self._move(scratch / WEIGHTS, self._path("origin", digest))
        return digest

    def _move(self, file: Path, final: str) -> None:
        if self.is_local:
            fsync(file)
            Path(final).parent.mkdir(exist_ok=True)
            with self._guard():
                file.rename(final)
            fsync(Path(final).parent)
        else:
            with self._guard():
                self.fs.put_file(str(file), final)

    def prune(
        self, keep: int, ladder_s: Sequence[float] = (), wanted: Sequence[str] = ()
    ) -> list[str]:
        """Drop the weights of old versions.

        Those of the newest `keep` stay, of the promoted one, of the `wanted`, of every pinned one,
        and of some of each age in `ladder_s` (`riverrun/ladder.py`). Manifests stay: they are
        small, and `trace` reads them. Also sweeps what a killed writer left half written. Returns
        the ids whose weights went.
        """
        spared = {self.promoted(), *wanted, *self._with(PINNED)}
        versions = self._by_age(self._with(WEIGHTS))
        times_s = [self.manifest(version).created_ms / 1000 for version in versions]
        spared |= {versions[i] for i in rungs(times_s, time.time(), ladder_s)}
        dropped = []
        for version in versions[:-keep]:
            if version not in spared:
                with self._guard():
                    self.fs.rm_file(self._path("versions", version, WEIGHTS))
                dropped.append(version)
        if self.is_local:
            for partial in Path(self._path("versions")).glob(f"{PARTIAL}*"):
                shutil.rmtree(partial, ignore_errors=True)
        return dropped

    def pin(self, version: str, why: str) -> None:
        """Let retention spare the weights of `version`. Raises UnknownVersion, also when they are
        gone already.
        """
        if not self.has_weights(self.manifest(version).version):
            raise UnknownVersion(f"the weights of {version} are gone: there is nothing to pin")
        self.fs.pipe_file(self._path("versions", version, PINNED), why.encode())

    def unpin(self, version: str) -> None:
        """Let retention have `version`. Raises UnknownVersion."""
        self.manifest(version)
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._path("versions", version, PINNED))

    def pinned(self) -> list[str]:
        """The ids that retention spares because they are pinned, oldest first."""
        return self._by_age(self._with(PINNED))

    # Reading (serving, the command line)

    def promoted(self) -> str | None:
        """The id that serving should use; None before the first."""
        try:
            data: bytes = self.fs.cat_file(self._path("PROMOTED"))
        except FileNotFoundError:
            return None
        return data.decode()

    def versions(self) -> list[str]:
        """All ids, oldest first."""
        return self._by_age(self._with(MANIFEST))

    def ids(self) -> list[str]:
        """All ids, in no order: no manifest is read."""
        return [name for name in self._with(MANIFEST) if not name.startswith(PARTIAL)]

    def _with(self, file: str) -> list[str]:
        """The ids that have `file`, in no order."""
        if self.is_local:
            # fsspec stats every file on the way: 0.3 s at 5,000 versions, this 0.02 s.
            return [p.parent.name for p in Path(self._path("versions")).glob(f"*/{file}")]
        self.fs.invalidate_cache()
        return [path.split("/")[-2] for path in self.fs.glob(self._path("versions", "*", file))]

    def _by_age(self, names: Sequence[str]) -> list[str]:
        manifests = [self.manifest(name) for name in names if not name.startswith(PARTIAL)]
        return [m.version for m in sorted(manifests, key=lambda m: (m.created_ms, m.step))]

    def manifest(self, version: str) -> Manifest:
        """What `version` is. Raises UnknownVersion, VersionRefused when it cannot be read."""
        try:
            data = self.fs.cat_file(self._path("versions", version, MANIFEST))
        except (FileNotFoundError, NotADirectoryError):
            raise UnknownVersion(f"no version {version!r} in {self.url}") from None
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as error:
            raise VersionRefused(f"the manifest of {version} is damaged: {error}") from error

    def has_weights(self, version: str) -> bool:
        """Whether retention has left the weights of `version`."""
        return bool(self.fs.exists(self._path("versions", version, WEIGHTS)))

    def model_files(self, into: Path) -> Path:
        """A local directory with the configuration and tokenizer (`into` for a remote store)."""
        if self.is_local:
            return Path(self._path("model"))
        into.mkdir(parents=True, exist_ok=True)
        for path in self.fs.ls(self._path("model"), detail=False):
            self.fs.get_file(path, str(into / str(path).rsplit("/", 1)[-1]))
        return into

    @contextlib.contextmanager
    def weights(self, version: str) -> Iterator[Path]:
        """The local weights file of `version`, verified against its hash.

        Raises VersionRefused when the bytes are not those of the manifest, UnknownVersion when
        retention has dropped them.
        """
        manifest = self.manifest(version)
        path = self._path("versions", version, WEIGHTS)
        gone = UnknownVersion(
            f"the weights of {version} are gone: retention keeps the newest (store.keep_versions)"
        )
        with self._verified(path, manifest.sha256, f"the weights of {version}", gone) as local:
            yield local

    def has_origin(self, sha256: str) -> bool:
        """Whether versions can defer to the weights with this hash."""
        return bool(self.fs.exists(self._path("origin", sha256)))

    @contextlib.contextmanager
    def origin(self, sha256: str) -> Iterator[Path]:
        """The local file of the weights that versions defer to, verified against its hash.

        Raises VersionRefused when they are not there, or not those.
        """
        what = "the origin's weights"
        gone = VersionRefused(f"{what}, SHA-256 {sha256[:16]}…, are not in {self.url}")
        with self._verified(self._path("origin", sha256), sha256, what, gone) as local:
            yield local

    @contextlib.contextmanager
    def _verified(self, path: str, sha256: str, what: str, gone: RiverrunError) -> Iterator[Path]:
        """A local file with the bytes at `path`. Raises `gone`, or VersionRefused for others."""
        with contextlib.ExitStack() as stack:
            local = Path(path)
            try:
                if not self.is_local:
                    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="riverrun-"))
                    local = Path(directory) / WEIGHTS
                    self.fs.get_file(path, str(local))
                digest = sha256_of(local)
            except FileNotFoundError:
                raise gone from None
            if digest != sha256:
                raise VersionRefused(
                    f"{what} have SHA-256 {digest[:16]}…, the manifest says {sha256[:16]}…"
                )
            yield local


def store_of(settings: Settings) -> VersionStore:
    """The store of a system: the one that its settings name, else the one in its data directory."""
    return VersionStore(settings.store.url or Workspace(settings.data_dir).store_url)


def _protocols(fs: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
