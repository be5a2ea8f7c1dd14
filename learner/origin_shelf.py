"""Origin memories that were filled before, in riverrun's cache: a second start writes no texts.

What an untouched model says depends on its weights and the files that it speaks with, the seed and
a few numbers of the recipe, and on nothing that was learned. So a memory filled for one data
directory is that of every other one with the same. It is a copy that may be deleted at any time: a
shelf that is damaged, or cannot be written, costs the time of filling again and a line in the log.

Knows nothing of how a memory is filled. Called by `origin_fill.py`.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch

from learner import workers
from learner.origin import Origin
from learner.recipe import Recipe
from riverrun.cache_dir import cache_dir
from riverrun.errors import CheckpointError

FORMAT = 2
"""Raised when the same numbers give other texts: other beginnings, another way of writing."""

log = logging.getLogger(__name__)


def shelf_of(weights: str, files: Mapping[str, str], seed: int, recipe: Recipe) -> Path:
    """The directory of what a model writes by a recipe.

    weights: hash of the untouched ones. files: of those that it speaks with, by name.
    """
    told = (
        FORMAT,
        weights,
        files,
        seed,
        recipe.origin_texts,
        recipe.origin_top_k,
        recipe.precision,
        recipe.block_tokens,
        workers.num_threads(),
        str(torch.__version__),
    )
    return cache_dir() / "origin" / hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def taken_from(directory: Path) -> Origin | None:
    """What was put there; None when there is nothing, or it is damaged."""
    try:
        origin = Origin.load(directory)
    except (CheckpointError, OSError) as error:
        log.warning("the origin memory in %s is not used: %s", directory, error)
        shutil.rmtree(directory, ignore_errors=True)
        return None
    if origin is not None:
        log.info("the origin memory comes from %s", directory)
    return origin


def put_on(directory: Path, origin: Origin) -> None:
    """Whole or not at all; another process may put the same there meanwhile."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
            written = Path(scratch) / directory.name
            written.mkdir()
            origin.save(written)
            if not directory.exists():
                written.rename(directory)
    except OSError as error:
        log.warning("the origin memory could not be put into %s: %s", directory, error)
