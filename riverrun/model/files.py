"""A decoder's weights from and to a directory in the Hugging Face layout.

Reads one `model.safetensors` or the shards of `model.safetensors.index.json`. Every name and
shape is checked before a number is read, so that a wrong file fails in one sentence. Knows
nothing of tokenizers, or of where directories come from. Called by the learner, serving and
the model zoo.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from riverrun.errors import ModelError
from riverrun.model.config import ModelConfig
from riverrun.model.decoder import Decoder

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"


def load_config(directory: Path) -> ModelConfig:
    """The shape of the model in `directory`, without its weights.

    Raises:
        ModelError: no `config.json`, or one that we cannot compute.
    """
    path = directory / CONFIG
    try:
        return ModelConfig.from_hf(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{directory}: {error}") from error


def load(
    directory: Path,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
    *,
    check_finite: bool = False,
) -> Decoder:
    """The model in `directory`, ready to train or to serve.

    On the CPU and in the file's own dtype (`dtype=None`) the weights are the mapped file,
    copied page by page as they are written to. So a file may be renamed over or deleted
    while it is in use, but never rewritten in place.

    Raises:
        ModelError: missing, unexpected, misshapen or (when asked) non-finite weights.
    """
    config = load_config(directory)
    with torch.device("meta"):
        model = Decoder(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights = _read(directory, wanted, tied=config.tie_embeddings, device=str(device))
    if dtype is not None:
        weights = {name: tensor.to(dtype) for name, tensor in weights.items()}
    if check_finite:
        _refuse(directory, "non-finite", [n for n, t in weights.items() if not t.isfinite().all()])
    model.load_state_dict(weights, assign=True)
    return model


def save(model: Decoder, directory: Path) -> None:
    """Writes `config.json` and `model.safetensors`, each whole or not at all.

    Tied matrices are stored once, under the name of the embedding.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {n: t.detach().cpu().contiguous() for n, t in model.state_dict().items()}
    save_tensors(tensors, directory / WEIGHTS)
    dtype = str(model.output_matrix.dtype).removeprefix("torch.")
    config = msgspec.structs.replace(model.config, torch_dtype=dtype)
    _replace(directory / CONFIG, config.to_hf())


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """One safetensors file, written beside its final name and renamed."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
        written = Path(beside) / path.name
        written.touch()
        mode = written.stat().st_mode
        save_file(dict(tensors), written, metadata={"format": "pt"})
        # safetensors writes for its owner alone; other processes read as others.
        written.chmod(mode)
        written.replace(path)


def _read(
    directory: Path, wanted: Mapping[str, tuple[int, ...]], *, tied: bool, device: str
) -> dict[str, Tensor]:
    with ExitStack() as stack:
        where = {}
        for path in _weight_files(directory):
            try:
                opened = stack.enter_context(safe_open(path, framework="pt", device=device))
            except (OSError, SafetensorError) as error:
                raise ModelError(f"{path}: {error}") from error
            where.update(dict.fromkeys(opened.keys(), opened))
        if tied:
            where.pop("lm_head.weight", None)
        # Written by old versions of transformers; computed, never learned.
        where = {n: f for n, f in where.items() if not n.endswith("rotary_emb.inv_freq")}
        _refuse(directory, "missing", sorted(wanted.keys() - where.keys()))
        _refuse(directory, "unexpected", sorted(where.keys() - wanted.keys()))
        shapes = {name: tuple(where[name].get_slice(name).get_shape()) for name in wanted}
        misshapen = [
            f"{name} {list(shapes[name])} instead of {list(shape)}"
            for name, shape in wanted.items()
            if shapes[name] != shape
        ]
        _refuse(directory, "misshapen", misshapen)
        return {name: where[name].get_tensor(name) for name in wanted}


def _weight_files(directory: Path) -> Iterator[Path]:
    if (directory / WEIGHTS).exists():
        yield directory / WEIGHTS
        return
    index = directory / INDEX
    try:
        shards = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values()
    except FileNotFoundError as error:
        raise ModelError(f"{directory}: neither {WEIGHTS} nor {INDEX} is here") from error
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{index}: {error}") from error
    for shard in sorted(set(shards)):
        if Path(shard).name != shard:
            raise ModelError(f"{index}: weight_map names {shard!r}; allowed: a file beside it")
        yield directory / shard


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def _refuse(directory: Path, what: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise ModelError(f"{directory}: {what} weights: {shown}")


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)
