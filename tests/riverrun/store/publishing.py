"""Versions with weights of a few bytes, for the laws of the store."""

from pathlib import Path

from riverrun.records import Span
from riverrun.store import Manifest, VersionStore, version_id
from riverrun.store.whole_files import PARTIAL


def publish(store: VersionStore, step: int, parent: str | None = None) -> Manifest:
    def describe(sha256: str, num_bytes: int) -> Manifest:
        return Manifest(
            version=version_id("run", step, sha256),
            parent=parent,
            run="run",
            step=step,
            created_ms=1_000 + step,
            model="tiny",
            config_hash="c",
            sha256=sha256,
            num_bytes=num_bytes,
            offsets={0: step, 3: 7},
            learned=[
                Span(
                    step=step,
                    partition=0,
                    raw_first=0,
                    raw_last=step,
                    clean_first=0,
                    clean_last=step,
                    num_documents=1,
                )
            ],
            num_documents=step,
            num_tokens=10 * step,
            newest_ms=None,
            metrics={"loss": 1.5},
        )

    return store.publish(lambda path: path.write_bytes(b"weights %d" % step) and None, describe)


def partials(store: VersionStore) -> list[Path]:
    return list((Path(store.files.root) / "versions").glob(f"{PARTIAL}*"))
