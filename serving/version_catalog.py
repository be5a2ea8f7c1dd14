"""The published versions, as the services list them: order, pages, who has weights.

Reads the store, so it blocks: the services call it on another thread. What a version is does not
change, so its place in the order is read once. Knows nothing of protos.
"""

import threading
from collections.abc import Iterator

from riverrun.errors import InvalidValue, UnknownVersion, VersionGone, VersionRefused
from riverrun.store import Manifest, VersionStore

Age = tuple[int, int, str]


class VersionCatalog:
    """One store's versions, newest first; safe to share between threads."""

    def __init__(self, store: VersionStore) -> None:
        self.store = store
        self._ages: dict[str, Age] = {}
        self._lock = threading.Lock()

    def manifest(self, version: str) -> Manifest:
        """Raises UnknownVersion, VersionRefused."""
        return self.store.manifest(version)

    def require_weights(self, version: str) -> Manifest:
        """The manifest of a version that could be served.

        Raises:
            UnknownVersion: there is none of that id.
            VersionGone: retention has dropped its weights; names the nearest that has them.
        """
        manifest = self.manifest(version)
        if not self.store.has_weights(version):
            raise VersionGone(version, self._nearest(manifest))
        return manifest

    def page(self, size: int, token: str) -> tuple[list[Manifest], str]:
        """Up to `size` versions older than the one that `token` names, and the next token.

        Raises:
            InvalidValue: a token that no page gave.
        """
        newest_first = self._newest_first()
        start = 0
        if token:
            names = [name for _, _, name in newest_first]
            if token not in names:
                raise InvalidValue("page_token", token, "the next_page_token of a page, or nothing")
            start = names.index(token) + 1
        names = [name for _, _, name in newest_first[start : start + size]]
        more = start + size < len(newest_first)
        return [self.store.manifest(name) for name in names], names[-1] if more and names else ""

    def line(self, version: str, max_versions: int) -> Iterator[Manifest]:
        """A version and its parents, as far as the store has them.

        Raises:
            UnknownVersion: for `version` itself.
        """
        parent: str | None = version
        for number in range(max_versions):
            if parent is None:
                return
            try:
                manifest = self.store.manifest(parent)
            except UnknownVersion:
                if number == 0:
                    raise
                return
            yield manifest
            parent = manifest.parent

    def _newest_first(self) -> list[Age]:
        with self._lock:
            names = self.store.ids()
            for name in names:
                if name not in self._ages:
                    try:
                        manifest = self.store.manifest(name)
                    except (UnknownVersion, VersionRefused):
                        continue  # `riverrun doctor` and the watcher tell of a damaged one
                    self._ages[name] = (manifest.created_ms, manifest.step, name)
            return sorted((self._ages[n] for n in names if n in self._ages), reverse=True)

    def _nearest(self, wanted: Manifest) -> str | None:
        """By steps, the later one of two that are as near."""
        steps = {n: step for _, step, n in self._newest_first() if self.store.has_weights(n)}
        return min(steps, key=lambda n: abs(steps[n] - wanted.step), default=None)
