"""A blind baseline: a byte model that counts, in bounded memory, as fast as numpy.

It mixes the counts of the last 0 to 5 bytes by Witten and Bell's rule: what an order has seen
little of, it leaves to the one below. What a language model does not beat by much, it has not
learned. A text is charged before it is counted, in pieces: within a piece of 512 bytes the model
does not yet know the piece, which costs it a little and makes numpy possible.

However full its tables are (`ngram_counts.py`), chances sum to one: the code length is honest, it
could be written down and decoded (up to contexts whose 16-bit tags collide).

Source: Witten and Bell, The Zero-Frequency Problem, 1991 (method C, interpolated).

O orders, L bytes of a piece.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from learner.watch.ngram_counts import MIX, Counts, Hashes, Numbers, mixed
from riverrun.errors import CheckpointError

PIECE = 512


class Ngram:
    """See the module. A part of the state. max_order: bytes of the longest context, from 1."""

    def __init__(self, max_order: int = 5, context_bits: int = 15, count_bits: int = 17) -> None:
        self._single_256 = np.zeros(256, np.int64)
        self._counts = Counts(max_order, context_bits, count_bits)
        self.num_bytes = 0

    def bits(self, text: bytes) -> float:
        """The cost of `text` after what was counted so far; counts nothing."""
        if not text:
            return 0.0
        return float(self._bits(*self._contexts(text)).sum())

    def learn(self, text: bytes) -> float:
        """Charge, then count, piece by piece; gives the cost in bits."""
        if not text:
            return 0.0
        contexts_OL, bytes_L = self._contexts(text)
        total = 0.0
        for start in range(0, len(text), PIECE):
            part = slice(start, start + PIECE)
            piece_OL = contexts_OL[:, part]
            total += float(self._bits(piece_OL, bytes_L[part]).sum())
            self._counts.count(piece_OL, bytes_L[part])
            self._single_256 += np.bincount(bytes_L[part].astype(np.intp), minlength=256)
        self.num_bytes += len(text)
        return total

    def _contexts(self, text: bytes) -> tuple[Hashes, Hashes]:
        """Of each order, the hash of the bytes before each byte; a text begins after zeros."""
        longest = self._counts.num_orders
        padded = np.frombuffer(bytes(longest) + text, np.uint8).astype(np.uint64)
        packed_OL = np.zeros((longest, len(text)), np.uint64)
        packed_L = packed_OL[0]
        for order in range(longest):
            start = longest - order - 1
            byte_L = padded[start : start + len(text)] << np.uint64(8 * order)
            packed_L = np.bitwise_or(packed_L, byte_L, out=packed_OL[order])
        lengths_O1 = np.arange(1, longest + 1, dtype=np.uint64)[:, None]
        return mixed((packed_OL + lengths_O1) * MIX), padded[longest:]

    def _bits(self, contexts_OL: Hashes, bytes_L: Hashes) -> Numbers:
        chance_L = (self._single_256[bytes_L.astype(np.intp)] + 1.0) / (
            self._single_256.sum() + 256.0
        )
        counts_OL, totals_OL, kinds_OL = self._counts.look_up(contexts_OL, bytes_L)
        weights_OL = np.maximum(totals_OL + kinds_OL, 1.0)
        is_known_OL = kinds_OL > 0
        for counts_L, kinds_L, weight_L, is_known_L in zip(
            counts_OL, kinds_OL, weights_OL, is_known_OL, strict=True
        ):
            mixed_L = (counts_L + kinds_L * chance_L) / weight_L
            chance_L = np.where(is_known_L, mixed_L, chance_L)
        bits_L: Numbers = -np.log2(chance_L)
        return bits_L

    # The checkpoint's view

    def tensors(self) -> dict[str, Tensor]:
        """int16, since not every reader of tensors knows uint16."""
        found = {"single": torch.from_numpy(self._single_256)}
        for order in range(self._counts.num_orders):
            for name, array in self._counts.arrays(order).items():
                found[f"{order + 1}.{name}"] = torch.from_numpy(array.view(np.int16))
        return found

    def restore_tensors(self, tensors: Mapping[str, Tensor], num_bytes: int) -> None:
        """Raises CheckpointError when they are of another size."""
        own = self.tensors()
        if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
            raise CheckpointError("the n-gram baseline there has tables of another size")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        self.num_bytes = num_bytes
