"""Whether the loops can be used here: asked once a process, by compiling them and doing a pass.

Where they cannot, all passes go through torch alone, and the log says why. Compiled code is kept
below the cache directory, so only a machine's first start waits for it: some 10 s of processor
time, before it serves.

Called by `serving/runner.py`.
"""

import hashlib
import logging
import os
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch

from riverrun.cache_dir import cache_dir
from riverrun.model import tiny
from serving import products
from serving.cache import SlottedCache
from serving.lean_model import LeanModel
from serving.weights import weight_shapes

if TYPE_CHECKING:
    from serving.loops.passes import LoopPasses

log = logging.getLogger(__name__)

MOST_THREADS = 4
"""Of torch: the loops run on one, and attention on many threads is then torch's to spread."""


def loop_passes(cache: SlottedCache) -> "LoopPasses | None":
    """Passes over this cache, or None where torch alone is to run them."""
    if cache.device.type != "cpu" or torch.get_num_threads() > MOST_THREADS:
        return None
    if _obstacle() is not None:
        return None
    from serving.loops.passes import LoopPasses

    return LoopPasses(cache)


@once
def _obstacle() -> str | None:
    """Why the loops cannot be used; None when they can, and are compiled."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir() / "numba" / _digest()))
    try:
        from numba.core.errors import NumbaError
    except (ImportError, OSError) as error:
        return _told(error)
    try:
        largest_error = _trial()
    except (NumbaError, ImportError, OSError, RuntimeError) as error:
        return _told(error)
    if not largest_error < 1e-3:
        return _told(f"they differ from torch by {largest_error:.1e}")
    return None


def _digest() -> str:
    """Of all sources of the loops: numba itself sees no change in what a loop takes from another
    file."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(products.__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _told(why: object) -> str:
    log.warning("decoding runs without compiled loops, and slower: %s", why)
    return str(why)


@torch.inference_mode()
def _trial() -> float:
    """How far the loops' hidden states are from the model's own, two rows, two tokens each."""
    from serving.loops.passes import LoopPasses

    config = msgspec.structs.replace(tiny.CONFIG, num_layers=1, qk_norm=True)
    numbers = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(shape, generator=numbers) * 0.1
        for name, shape in weight_shapes(config).items()
    }
    model = LeanModel(config)
    prefix = "model.layers.0."
    model.load_layer(0, {n.removeprefix(prefix): w for n, w in weights.items() if prefix in n})
    model.load_ends(weights["model.embed_tokens.weight"], weights["model.norm.weight"], None)
    caches = [SlottedCache(config, max_rows=2, context_tokens=16) for _ in range(2)]
    loops = LoopPasses(caches[0])
    largest = 0.0
    for start in range(2):
        given = ([7, 8], [0, 1], [start, start], [1, 1])
        found = loops.hidden(model, *given)
        right = model.hidden(torch.tensor(given[0]), caches[1].window(*given[1:]))
        largest = max(largest, float((found - right).abs().max()))
        loops.likeliest(model.logits(found))
    return largest
