"""The versions: written whole, promoted by one pointer, read by id.

A version is there when its manifest is; the pointer is replaced after that. Which old ones lose
their weights is not decided here (`retention.py`). Knows nothing of tensors: weights are a file.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from riverrun.errors import StoreError, UnknownVersion, VersionRefused
from riverrun.settings import Settings
from riverrun.store.manifest import Manifest
from riverrun.store.whole_files import WholeFiles, sha256_of
from riverrun.workspace import Workspace

VERSIONS, MODEL, ORIGIN, PROMOTED = "versions", "model", "origin", "PROMOTED"
WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"


class VersionStore:
    """Versions below one fsspec URL. Raises InvalidValue for a URL that fsspec cannot open."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files = WholeFiles(url)

    # Writing (the learner)

    def fence(self, guard: Callable[[], AbstractContextManager[None]]) -> None:
        """Enter `guard` around each change that readers can see: it raises LeaseLost to stop it."""
        self.files.fence(guard)

    def publish(
        self, write_weights: Callable[[Path], None], describe: Callable[[str, int], Manifest]
    ) -> Manifest:
        """Write one version, all or nothing; it is not promoted yet.

        write_weights: writes the file at the path that it is given.
        describe: from the file's SHA-256 and size in bytes, the manifest.
        Publishing weights that are there already changes nothing (a replayed step).
        Raises StoreError, for a full disk among others, with nothing left behind.
        """
        with self.files.scratch(VERSIONS, "a version") as scratch:
            write_weights(scratch / WEIGHTS)
            digest = sha256_of(scratch / WEIGHTS)
            manifest = describe(digest, (scratch / WEIGHTS).stat().st_size)
            (scratch / MANIFEST).write_bytes(msgspec.json.encode(manifest))
            if not self.files.has(VERSIONS, manifest.version, MANIFEST):
                self.files.put_directory(scratch, [WEIGHTS, MANIFEST], VERSIONS, manifest.version)
        return manifest

    def promote(self, version: str) -> None:
        """Let serving use `version` from now on. Raises UnknownVersion."""
        self.manifest(version)
        try:
            self.files.replace(version.encode(), PROMOTED)
        except OSError as error:
            raise StoreError(f"{version} could not be promoted in {self.url}: {error}") from error

    def put_model(self, files: Sequence[Path]) -> None:
        """Copy what weights need to speak (configuration, tokenizer); the same files each time."""
        self.files.fs.makedirs(self.files.path(MODEL), exist_ok=True)
        for file in files:
            self.files.fs.put_file(str(file), self.files.path(MODEL, file.name))

    def put_origin(self, write_weights: Callable[[Path], None]) -> str:
        """Write the weights that versions defer to, all or nothing; their SHA-256.

        The same ones again change nothing. Raises StoreError, for a full disk among others.
        """
        with self.files.scratch(VERSIONS, "the origin's weights") as scratch:
            write_weights(scratch / WEIGHTS)
            digest = sha256_of(scratch / WEIGHTS)
            if not self.has_origin(digest):
                self.files.put_file(scratch / WEIGHTS, ORIGIN, digest)
        return digest

    # Reading (serving, the command line)

    def promoted(self) -> str | None:
        """The id that serving should use; None before the first."""
        try:
            return self.files.read(PROMOTED).decode()
        except FileNotFoundError:
            return None

    def versions(self) -> list[str]:
        """All ids, oldest first."""
        return self.by_age(self.ids())

    def ids(self) -> list[str]:
        """All ids, in no order: no manifest is read."""
        return self.files.directories_with(MANIFEST, VERSIONS)

    def by_age(self, versions: Sequence[str]) -> list[str]:
        """These ids, oldest first."""
        manifests = map(self.manifest, versions)
        return [m.version for m in sorted(manifests, key=lambda m: (m.created_ms, m.step))]

    def manifest(self, version: str) -> Manifest:
        """What `version` is. Raises UnknownVersion, VersionRefused when it cannot be read."""
        try:
            data = self.files.read(VERSIONS, version, MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            raise UnknownVersion(f"no version {version!r} in {self.url}") from None
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as error:
            raise VersionRefused(f"the manifest of {version} is damaged: {error}") from error

    def has_weights(self, version: str) -> bool:
        """Whether retention has left the weights of `version`."""
        return self.files.has(VERSIONS, version, WEIGHTS)

    def weights(self, version: str) -> AbstractContextManager[Path]:
        """The local weights file of `version`, verified against its hash.

        Raises VersionRefused when the bytes are not those of the manifest, UnknownVersion when
        retention has dropped them.
        """
        sha256 = self.manifest(version).sha256
        gone = UnknownVersion(
            f"the weights of {version} are gone: retention keeps the newest (store.keep_versions)"
        )
        what = f"the weights of {version}"
        return self.files.verified(sha256, what, gone, VERSIONS, version, WEIGHTS)

    def has_origin(self, sha256: str) -> bool:
        """Whether versions can defer to the weights with this hash."""
        return self.files.has(ORIGIN, sha256)

    def origin(self, sha256: str) -> AbstractContextManager[Path]:
        """The local file of the weights that versions defer to, verified against its hash.

        Raises VersionRefused when they are not there, or not those.
        """
        what = "the origin's weights"
        gone = VersionRefused(f"{what}, SHA-256 {sha256[:16]}…, are not in {self.url}")
        return self.files.verified(sha256, what, gone, ORIGIN, sha256)

    def model_files(self, into: Path) -> Path:
        """A local directory with the configuration and tokenizer (`into` for a remote store)."""
        fs, model = self.files.fs, self.files.path(MODEL)
        if self.files.is_local:
            return Path(model)
        into.mkdir(parents=True, exist_ok=True)
        for path in fs.ls(model, detail=False):
            fs.get_file(path, str(into / str(path).rsplit("/", 1)[-1]))
        return into


def store_of(settings: Settings) -> VersionStore:
    """The store of a system: the one that its settings name, else the one in its data directory."""
    return VersionStore(settings.store.url or Workspace(settings.data_dir).store_url)
