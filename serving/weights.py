"""One version's file into one slot, layer by layer, with everything checked on the way.

What is checked is what was published; then it takes the form in which it is served. A floating
slot's own tensors are written over, so loading takes no memory but one layer's. A refused file may
leave the slot half written; such a slot is never offered. Knows nothing of slots' states or of the
store. Called by `serving/watcher.py`, off the engine's thread.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from riverrun.errors import UnknownVersion, VersionRefused
from riverrun.model.config import ModelConfig
from riverrun.model.decoder import Decoder
from serving.lean_model import LeanModel

EMBEDDING, NORM, OUTPUT = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """What a version of this model must hold."""
    with torch.device("meta"):
        return {name: tuple(t.shape) for name, t in Decoder(config).state_dict().items()}


@torch.inference_mode()
def load_into(
    model: LeanModel, path: Path, version: str, pause: Callable[[], None] = lambda: None
) -> None:
    """Give `model` the weights of `version`, in the model's own form, whatever the file's is.

    `pause` is called after each layer's work, a few milliseconds.

    Raises:
        VersionRefused: names, shapes or a value that is not finite.
        UnknownVersion: retention took the file away after its hash was checked.
    """
    wanted = weight_shapes(model.config)
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_names(version, wanted.keys() - found.keys(), found.keys() - wanted.keys())
            for name, shape in wanted.items():
                if found[name] != shape:
                    raise VersionRefused(
                        f"{version}: {name} has the shape {list(found[name])}, "
                        f"the model's is {list(shape)}"
                    )
            for layer in range(model.config.num_layers):
                prefix = f"model.layers.{layer}."
                names = [name for name in wanted if name.startswith(prefix)]
                model.load_layer(
                    layer,
                    {name.removeprefix(prefix): _finite(file, name, version) for name in names},
                )
                pause()
            output = _finite(file, OUTPUT, version) if OUTPUT in wanted else None
            model.load_ends(_finite(file, EMBEDDING, version), _finite(file, NORM, version), output)
    except FileNotFoundError:
        raise UnknownVersion(f"the weights of {version} went while they were loaded") from None
    except SafetensorError as error:
        raise VersionRefused(f"{version}: {error}") from error


def _finite(file: Any, name: str, version: str) -> Tensor:
    tensor: Tensor = file.get_tensor(name)
    # One pass and no copy: NaN wins both, infinity is the largest or the smallest.
    smallest, largest = tensor.aminmax()
    if not bool(smallest.isfinite() & largest.isfinite()):
        raise VersionRefused(f"{version}: {name} is not finite")
    return tensor


def _check_names(version: str, missing: set[str], unexpected: set[str]) -> None:
    for what, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            shown = ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")
            raise VersionRefused(f"{version}: {what} weights: {shown}")
