"""From a model's name to a directory in the Hugging Face layout.

Built-in models are made once, in the cache: beside their final place, then renamed, so that
a directory under its final name is always whole, and of two processes that make the same
model the first one wins. Knows nothing of weights or tokenizers. Called by the learner,
serving and `riverrun model`.
"""

import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from riverrun.cache_dir import cache_dir as default_cache_dir
from riverrun.errors import ModelError, UnknownModel
from riverrun.model.smollm2 import Progress

BUILT_IN = {
    "tiny": "byte-level, 1 million parameters, untrained; learns any language from nothing",
    "smollm2": "SmolLM2-135M-Instruct, pretrained, English; 93 MB to download, 540 MB on disk",
}
ALLOWED = "'tiny', 'smollm2', a directory in the Hugging Face layout, or 'hf:ORG/NAME'"
HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja"]
ABANDONED_S = 6 * 3600.0


def locate(name: str, cache_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """The directory of the model `name`; fetched first if it is not there yet.

    Raises:
        UnknownModel: no such name or directory.
        ModelError: it cannot be fetched.
    """
    found = located(name, cache_dir)
    return found if found is not None else fetch(name, progress, cache_dir)


def located(name: str, cache_dir: Path | None = None) -> Path | None:
    """The directory of the model `name` if it is on this machine; fetches nothing.

    Raises:
        UnknownModel: no such name or directory.
    """
    if name in BUILT_IN or name.startswith("hf:"):
        place = _place(name, cache_dir)
        return place if place.is_dir() else None
    directory = Path(name).expanduser()
    if not (directory / "config.json").is_file():
        raise UnknownModel("model", name, ALLOWED)
    return directory


def fetch(name: str, progress: Progress | None = None, cache_dir: Path | None = None) -> Path:
    """Makes the model `name` in the cache, unless it is there, and gives its directory.

    Raises:
        UnknownModel, ModelError: as `locate`.
    """
    found = located(name, cache_dir)
    if found is not None:
        return found
    place = _place(name, cache_dir)
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place.parent)
    beside = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    beside.mkdir()
    try:
        _write(name, beside, progress or _silent)
        try:
            beside.rename(place)
        except OSError:
            # Another process was first; what it made is the same.
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return place


def known(cache_dir: Path | None = None) -> Iterator[tuple[str, Path | None, str]]:
    """Name, directory if it is here, and description of the built-in and the fetched models."""
    for name, about in BUILT_IN.items():
        yield name, located(name, cache_dir), about
    for place in sorted(((cache_dir or default_cache_dir()) / "models").glob("hf--*--*")):
        name = "hf:" + place.name.removeprefix("hf--").replace("--", "/", 1)
        yield name, place, "fetched from the Hugging Face hub"


def _place(name: str, cache_dir: Path | None) -> Path:
    models = (cache_dir or default_cache_dir()) / "models"
    if not name.startswith("hf:"):
        return models / name
    parts = name.removeprefix("hf:").split("/")
    if len(parts) != 2 or not all(part and not part.startswith(".") for part in parts):
        raise UnknownModel("model", name, ALLOWED)
    return models / "--".join(("hf", *parts))


def _write(name: str, directory: Path, progress: Progress) -> None:
    if name == "tiny":
        from riverrun.model import tiny

        tiny.write(directory)
    elif name == "smollm2":
        from riverrun.model import smollm2

        smollm2.write(directory, progress)
    else:
        _write_from_hub(name.removeprefix("hf:"), directory, progress)


def _write_from_hub(repository: str, directory: Path, progress: Progress) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    progress("downloading", 0, 1)
    try:
        snapshot_download(
            repository, local_dir=directory, allow_patterns=HUB_FILES, ignore_patterns=["*/*"]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"hf:{repository} cannot be downloaded: {reason}") from error
    # The hub's client leaves its own bookkeeping beside the files.
    shutil.rmtree(directory / ".cache", ignore_errors=True)
    progress("downloading", 1, 1)


def _remove_abandoned(models: Path) -> None:
    """What a killed fetch left behind; a living one writes more often than this."""
    for path in models.glob(".*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def _silent(*_: object) -> None:
    return None
