"""Tensors into a safetensors file, in one pass: written, hashed and fsynced as they come.

The library's own writer copies all tensors first and leaves hashing to a second read; for a
checkpoint of gigabytes both count. The format is the same, and reading is the library's.

Knows nothing of what the tensors are. Called by `snapshots.py`, `origin.py` and `publish.py`.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from riverrun.errors import CheckpointError
from riverrun.store.whole_files import sha256_of

DTYPES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.float64: "F64",
}


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None
) -> str:
    """The SHA-256 of the file that now holds `tensors`, all as `dtype` if one is given."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for data in _chunks(tensors, dtype):
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def hash_tensors(tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> str:
    """The SHA-256 that `write_tensors` would give."""
    digest = hashlib.sha256()
    for data in _chunks(tensors, dtype):
        digest.update(data)
    return digest.hexdigest()


def _chunks(
    tensors: Mapping[str, Tensor], dtype: torch.dtype | None
) -> Iterator[bytes | memoryview]:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        kind = dtype or tensor.dtype
        start, end = end, end + tensor.numel() * kind.itemsize
        header[name] = {
            "dtype": DTYPES[kind],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    described = json.dumps(header, separators=(",", ":")).encode()
    described += b" " * (-len(described) % 8)
    yield len(described).to_bytes(8, "little")
    yield described
    for tensor in tensors.values():
        yield bytes_of(tensor.detach().to("cpu", dtype or tensor.dtype))


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a file. Raises CheckpointError unless its bytes have the hash `sha256`."""
    try:
        found = sha256_of(path)
        if found != sha256:
            raise CheckpointError(f"{path} has SHA-256 {found[:16]}…, it should be {sha256[:16]}…")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def bytes_of(tensor: Tensor) -> memoryview:
    """Of a tensor on the CPU; no copy when it is contiguous."""
    flat = tensor.contiguous().reshape(-1)
    if not flat.numel():
        return memoryview(b"")
    array: npt.NDArray[np.uint8] = flat.view(torch.uint8).numpy()
    return array.data
