"""Versions of `tiny` with wide random weights, from a seed each, and a server of them alone.

Wide (std 0.5), so that each version says something else and two logits are hardly ever nearly
equal: whoever knows the seed can tell whether an answer is that version's. As a program it
publishes and promotes one version for each seed that it reads, at low priority, as the learner
does beside serving. Called by `bench/swap.py` and `bench/load.py`.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from riverrun.priority import yield_core
from riverrun.settings import Settings
from riverrun.store import Manifest, VersionStore, store_of, version_id
from riverrun.store.retention import prune

MODEL_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


def wide_weights(seed: int) -> Any:
    """A decoder of the shape of `tiny`."""
    import torch

    from riverrun.model import tiny
    from riverrun.model.decoder import Decoder

    decoder = Decoder(tiny.CONFIG).requires_grad_(False)
    decoder.initialise(torch.Generator().manual_seed(seed), std=0.5)
    return decoder


def publish(store: VersionStore, seed: int) -> str:
    """The version of this seed, promoted."""
    from riverrun.model.files import save_tensors

    tensors = wide_weights(seed).state_dict()

    def describe(sha256: str, num_bytes: int) -> Manifest:
        return Manifest(
            version=version_id("bench", seed, sha256),
            parent=None,
            run="bench",
            step=seed,
            created_ms=int(time.time() * 1000),
            model="tiny",
            config_hash="",
            sha256=sha256,
            num_bytes=num_bytes,
            offsets={},
            learned=[],
            num_documents=0,
            num_tokens=0,
            newest_ms=None,
            metrics={},
        )

    version = store.publish(lambda path: save_tensors(tensors, path), describe).version
    store.promote(version)
    prune(store, keep=4)
    return version


@contextlib.contextmanager
def served_alone(settings: Settings) -> Iterator[tuple[Settings, str]]:
    """A serving process of version 1 in a temporary directory, without Kafka: its address."""
    from riverrun.model import tiny
    from riverrun.supervisor import System
    from riverrun.supervisor.programs import programs_of
    from riverrun.workspace import Workspace

    with tempfile.TemporaryDirectory(prefix="riverrun-bench-") as scratch:
        files = Path(scratch) / "model"
        files.mkdir()
        tiny.write(files)
        settings = settings.model_copy(update={"data_dir": Path(scratch) / "data", "model": "tiny"})
        store = store_of(settings)
        store.put_model([files / name for name in MODEL_FILES])
        publish(store, 1)
        alone = [
            program.__class__(name=program.name, command=program.command)
            for program in programs_of(settings)
            if program.name == "serving"
        ]
        with System(settings, programs=alone) as system:
            system.wait_ready(120)
            address = Workspace(settings.data_dir).wait_ready("serving", 10).address
            assert address is not None, "a ready server has an address"
            yield settings, address


class Publisher:
    """Another process that publishes what it is told to."""

    def __init__(self, store_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.wide_versions", store_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def publish(self, seed: int) -> str:
        """Returns the id once it is promoted."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def main() -> None:
    """Publish for each line of standard input; print the id."""
    import torch

    yield_core()
    torch.set_num_threads(1)
    store = VersionStore(sys.argv[1])
    for line in sys.stdin:
        sys.stdout.write(publish(store, int(line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
