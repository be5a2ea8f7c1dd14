"""In which form a model's weights are served on this machine: measured where it is started.

`auto` times one decode step of a slice of the model in each form, and takes a narrower form only
where it is clearly quicker, for fp32 is the most exact. What a form costs depends on the CPU: bf16
is slower than fp32 where the CPU has no instruction for it. Whether int8 is exact is tried.

Knows nothing of versions. Called by `serving/live_model.py`.
"""

import logging
import statistics
import time
from typing import Literal

import msgspec
import torch

from riverrun.errors import InvalidValue
from riverrun.model.config import ModelConfig
from serving.cache import SlottedCache
from serving.lean_model import LeanModel
from serving.products import Int8Product, Precision, RowCutter
from serving.weights import weight_shapes

log = logging.getLogger(__name__)

PrecisionSetting = Literal["auto", "float32", "bfloat16", "int8"]

SMALL_MODEL = 20_000_000
"""Parameters below which fp32 is taken unmeasured: such matrices lie in the CPU's caches, and the
calls cost more than the products (tiny, 1 million: int8 is 0.6 times as fast as fp32)."""
CLEARLY = 1.15
"""How much quicker a narrower form must be."""
NUM_TRIED = 64
"""Inputs of the product that is tried: two registers of 32 bytes."""
NUM_LAYERS = 4
ROUNDS = 5
BATCHES = (1, 4, 16)


def choose(config: ModelConfig, setting: PrecisionSetting, device: torch.device) -> Precision:
    """The form to serve in.

    Raises:
        InvalidValue: int8 was asked for, which this machine cannot do right.
    """
    if setting == "int8" and not is_int8_usable(device):
        raise InvalidValue(
            "serving.precision",
            setting,
            "float32, bfloat16 or auto: this machine has no exact products of int8",
        )
    if setting != "auto":
        return setting
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if config.num_parameters() < SMALL_MODEL:
        return "float32"
    times = measure(config, device)
    chosen: Precision = "float32"
    for precision in times:
        if times[chosen] / times[precision] > CLEARLY:
            chosen = precision
    shown = ", ".join(f"{name} {seconds * 1e3:.2f} ms" for name, seconds in times.items())
    log.info("weights are served in %s (a slice's step: %s)", chosen, shown)
    return chosen


def is_int8_usable(device: torch.device) -> bool:
    """Whether int8 products are there and exact; asked by doing one."""
    if device.type != "cpu":
        return False
    largest_OI = torch.tensor([[127.0], [-127.0]]).expand(2, NUM_TRIED)
    try:
        product = Int8Product(2, RowCutter(NUM_TRIED))
        product.load(largest_OI)
        # Where sums of pairs saturate, the largest of all are the first that do.
        found_NO = product.of(torch.tensor([[1.0], [-1.0]]).expand(2, NUM_TRIED))
    except (AttributeError, RuntimeError):
        return False
    wanted_NO = torch.tensor([[127.0, -127.0], [-127.0, 127.0]]) * NUM_TRIED
    return bool(torch.allclose(found_NO, wanted_NO, rtol=1e-6))


@torch.inference_mode()
def measure(config: ModelConfig, device: torch.device) -> dict[Precision, float]:
    """Seconds of a decode step in each form, over a few layers and the output matrix.

    The geometric mean over batches of 1, 4 and 16 rows; the median of interleaved rounds.
    """
    part = msgspec.structs.replace(config, num_layers=min(NUM_LAYERS, config.num_layers))
    names: list[Precision] = ["float32", "bfloat16"]
    if is_int8_usable(device):
        names.append("int8")
    shapes = weight_shapes(part)
    layer = {
        name.removeprefix("model.layers.0."): torch.empty(shape).uniform_(-0.05, 0.05)
        for name, shape in shapes.items()
        if name.startswith("model.layers.0.")
    }
    embedding_VD = torch.empty(part.vocab_size, part.hidden_size).uniform_(-0.05, 0.05)
    cache = SlottedCache(part, max_rows=max(BATCHES), context_tokens=64, device=device)
    models = {}
    for name in names:
        models[name] = model = LeanModel(part, precision=name, device=device)
        for number in range(part.num_layers):
            model.load_layer(number, layer)
        output_VD = None if part.tie_embeddings else embedding_VD
        model.load_ends(embedding_VD, torch.ones(part.hidden_size), output_VD)
    times: dict[Precision, float] = dict.fromkeys(names, 1.0)
    for num_rows in BATCHES:
        taken: dict[Precision, list[float]] = {name: [] for name in names}
        tokens_N = torch.zeros(num_rows, dtype=torch.long, device=device)
        for _ in range(ROUNDS):
            for name, model in models.items():
                window = cache.window(range(num_rows), [32] * num_rows, [1] * num_rows)
                started = time.perf_counter()
                model.logits(model.hidden(tokens_N, window))
                taken[name].append(time.perf_counter() - started)
        for name in names:
            times[name] *= statistics.median(taken[name]) ** (1 / len(BATCHES))
    return times
