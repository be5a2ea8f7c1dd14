"""One version's file into one slot, tensor by tensor, with everything checked on the way.

The slot's own tensors are written over, so loading takes no memory but one tensor's. A refused
file may leave the slot half written; such a slot is never offered. Knows nothing of slots'
states or of the store. Called by `serving/watcher.py`, off the engine's thread.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from riverrun.errors import UnknownVersion, VersionRefused
from riverrun.model.decoder import Decoder


@torch.inference_mode()
def load_into(model: Decoder, path: Path, version: str) -> None:
    """Give `model` the weights of `version`, in the model's own dtype, whatever the file's is.

    Raises:
        VersionRefused: names, shapes or a value that is not finite.
        UnknownVersion: retention took the file away after its hash was checked.
    """
    wanted = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_names(version, wanted.keys() - found.keys(), found.keys() - wanted.keys())
            for name, tensor in wanted.items():
                if found[name] != tuple(tensor.shape):
                    raise VersionRefused(
                        f"{version}: {name} has the shape {list(found[name])}, "
                        f"the model's is {list(tensor.shape)}"
                    )
            for name, tensor in wanted.items():
                loaded = file.get_tensor(name)
                # One pass and no copy: NaN wins both, infinity is the largest or the smallest.
                smallest, largest = loaded.aminmax()
                if not bool(smallest.isfinite() & largest.isfinite()):
                    raise VersionRefused(f"{version}: {name} is not finite")
                tensor.copy_(loaded)
    except FileNotFoundError:
        raise UnknownVersion(f"the weights of {version} went while they were loaded") from None
    except SafetensorError as error:
        raise VersionRefused(f"{version}: {error}") from error


def _check_names(version: str, missing: set[str], unexpected: set[str]) -> None:
    for what, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            shown = ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")
            raise VersionRefused(f"{version}: {what} weights: {shown}")
