"""A pretrained model's directory, in the Hugging Face layout; and an untrained one to begin with.

Called by `run.py`. Knows nothing of steps.
"""

import shutil
from pathlib import Path

import torch

from learner.publish import published_weights
from learner.state import State
from learner.watch.surprise import wearing
from riverrun.model import files
from riverrun.model.decoder import Decoder

BESIDE = ("*.json", "*.jinja", "tokenizer.model", "merges.txt")
"""What weights need to speak."""


def has_weights(directory: Path) -> bool:
    return any((directory / name).exists() for name in (files.WEIGHTS, files.INDEX))


def begin(
    directory: Path, seed: int, device: torch.device, *, is_fresh: bool
) -> tuple[Decoder, bool]:
    """The model of `directory`, and whether it starts from nothing: without weights, or told to.

    Raises ModelError for weights or a configuration that cannot be used.
    """
    if has_weights(directory) and not is_fresh:
        return files.load(directory, torch.float32, device), False
    model = Decoder(files.load_config(directory))
    model.initialise(torch.Generator().manual_seed(seed))
    return model.to(device), True


def write_model(state: State, beginning: Path, directory: Path) -> None:
    """The averaged weights, their shape, and the files with which `beginning` speaks."""
    for pattern in BESIDE:
        for path in sorted(beginning.glob(pattern)):
            if path.name not in (files.CONFIG, files.INDEX):
                shutil.copyfile(path, directory / path.name)
    with wearing(state.model, published_weights(state)):
        files.save(state.model, directory)
