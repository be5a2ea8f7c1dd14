"""What a plugin knows, as JSON and tensors, and back: no pickle, so a checkpoint runs no code.

Containers, numbers, tensors, Avalanche's `ParamData`, a copy of the model (its tensors), data sets
of our rows, and objects of avalanche as their attributes. Anything else is refused by name: a
plugin whose state would be lost without a word must not start.
"""

import copy
from collections import defaultdict
from typing import Any

from avalanche.benchmarks.utils import AvalancheDataset
from avalanche.training.regularization import RegularizationMethod
from avalanche.training.utils import ParamData
from torch import Tensor, nn

from learner.avalanche.rows import dataset_of, tensors_of
from riverrun.errors import InvalidValue

Tensors = dict[str, Tensor]


def encode(value: Any, tensors: Tensors, path: str) -> Any:
    """JSON for `value`; its tensors go into `tensors` under names below `path`."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Tensor():
            tensors[path] = value.detach()
            return {"tensor": path}
        case ParamData():
            tensors[path] = value.data.detach()
            return {"param": value.name, "tensor": path}
        case list() | tuple():
            inside = [encode(one, tensors, f"{path}.{i}") for i, one in enumerate(value)]
            return {type(value).__name__: inside}
        case set():
            return {"set": sorted(value)}
        case dict():
            pairs = [[k, encode(v, tensors, f"{path}.{k}")] for k, v in value.items()]
            if not isinstance(value, defaultdict):
                return {"dict": pairs}
            assert value.default_factory in (dict, set), value.default_factory
            return {"default": value.default_factory.__name__, "dict": pairs}
        case nn.Module():
            names = []
            for name, tensor in value.state_dict().items():
                tensors[f"{path}.{name}"] = tensor
                names.append(name)
            return {"model": names, "tensor": path}
        case AvalancheDataset():
            tensors[f"{path}.x"], tensors[f"{path}.y"] = tensors_of(value)
            return {"rows": path}
        case RegularizationMethod():
            return {"object": attributes(value, tensors, path)}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise InvalidValue("learner.strategy", path, f"a plugin whose state can be kept, not {kind}")


def attributes(
    thing: Any, tensors: Tensors, path: str, derived: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`encode` of all attributes but those that are made anew."""
    return {
        name: encode(value, tensors, f"{path}.{name}")
        for name, value in vars(thing).items()
        if name not in derived
    }


def put(thing: Any, told: dict[str, Any], tensors: Tensors, model: nn.Module) -> None:
    """Give `thing` the attributes that `attributes` told of."""
    for name, value in told.items():
        if isinstance(value, dict) and "object" in value:
            put(getattr(thing, name), value["object"], tensors, model)
        else:
            setattr(thing, name, _decode(value, tensors, model))


def _decode(told: Any, tensors: Tensors, model: nn.Module) -> Any:
    if not isinstance(told, dict):
        return told
    device = next(model.parameters()).device
    match told:
        case {"param": name, "tensor": path}:
            tensor = tensors[path].clone()
            return ParamData(name, tensor.shape, init_tensor=tensor, device=tensor.device)
        case {"model": names, "tensor": path}:
            # As LwF copies it; what it is of is this very model.
            copied = copy.deepcopy(model)
            copied.load_state_dict({name: tensors[f"{path}.{name}"] for name in names})
            return copied
        case {"tensor": path}:
            return tensors[path].clone()
        case {"list": inside}:
            return [_decode(one, tensors, model) for one in inside]
        case {"tuple": inside}:
            return tuple(_decode(one, tensors, model) for one in inside)
        case {"set": inside}:
            return set(inside)
        case {"default": factory, "dict": pairs}:
            made: Any = defaultdict({"dict": dict, "set": set}[factory])
            made.update((key, _decode(value, tensors, model)) for key, value in pairs)
            return made
        case {"dict": pairs}:
            return {key: _decode(value, tensors, model) for key, value in pairs}
        case {"rows": path}:
            return dataset_of(tensors[f"{path}.x"].clone(), tensors[f"{path}.y"].clone())
    raise AssertionError(f"no such state: {told.keys()} on {device}")
