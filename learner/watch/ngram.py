"""A blind baseline: a byte model that counts, in bounded memory, as fast as numpy.

It mixes the counts of the last 0 to 5 bytes by Witten and Bell's rule: what an order has seen
little of, it leaves to the one below. What a language model does not beat by much, it has not
learned. A text is charged before it is counted, in pieces: within a piece of 512 bytes the model
does not yet know the piece, which costs it a little and makes numpy possible.

Tables are hashed and never grow. A context that finds a stranger in its place wears it down and
takes the place at last, as a new generation, so that counts of the former one are out of reach. A
count knows its owner (context, generation, byte); one that finds a stranger wears that down too,
and the stranger's context loses what its count loses. So what a context says of the next byte
always sums to one, however full the tables are, and the code length is honest: it could be written
down and decoded (up to contexts whose 16-bit tags collide).

Source: Witten and Bell, The Zero-Frequency Problem, 1991 (method C, interpolated); the wearing down
after Misra and Gries, 1982.

L bytes of a piece, C slots of contexts, S slots of counts.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from riverrun.errors import CheckpointError

PIECE = 512
MOST = 60_000
"""A context's count at most; then all counts of its order are halved."""
MOST_CREDIT = 15

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.uint16]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]

ONE = np.uint16(1)
HIGH = np.uint64(48)
MIX = np.uint64(0x9E3779B97F4A7C15)
FINAL = np.uint64(0xBF58476D1CE4E5B9)


def mixed(x: Hashes) -> Hashes:
    """Every bit of `x` in every bit of the result. Source: the finish of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * FINAL
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Found(NamedTuple):
    """Of L bytes in their contexts: where they are kept, and what is known of them."""

    slots_L: Places
    is_mine_L: Flags
    places_L: Places
    counts_L: Numbers
    totals_L: Numbers
    kinds_L: Numbers


class Order:
    """The counts after the last `length` bytes.

    Of a context: tags, whose it is; totals, the sum of its counts; kinds, how many counts it has;
    credits, how many strangers it outlives. Of a count: its owner's slot and generation, its byte.
    """

    def __init__(self, length: int, context_bits: int, count_bits: int) -> None:
        assert context_bits <= 16, "an owner's slot has to fit"
        self.length = length
        self._context_mask = np.uint64(2**context_bits - 1)
        self._count_mask = np.uint64(2**count_bits - 1)
        self.tags_C = np.zeros(2**context_bits, np.uint16)
        self.totals_C = np.zeros(2**context_bits, np.uint16)
        self.kinds_C = np.zeros(2**context_bits, np.uint16)
        self.credits_C = np.zeros(2**context_bits, np.uint16)
        self.generations_C = np.zeros(2**context_bits, np.uint16)
        self.owners_S = np.zeros(2**count_bits, np.uint16)
        self.owner_generations_S = np.zeros(2**count_bits, np.uint16)
        self.bytes_S = np.zeros(2**count_bits, np.uint16)
        self.counts_S = np.zeros(2**count_bits, np.uint16)

    def arrays(self) -> dict[str, Counts]:
        return {name: array for name, array in vars(self).items() if name.endswith(("_C", "_S"))}

    def look_up(self, contexts_L: Hashes, bytes_L: Hashes) -> Found:
        slots_L = (contexts_L & self._context_mask).astype(np.intp)
        is_mine_L = self.tags_C[slots_L] == (contexts_L >> HIGH).astype(np.uint16)
        generations_L = self.generations_C[slots_L]
        places_L = self._places(slots_L, generations_L, bytes_L)
        is_there_L = is_mine_L & self._is_there(places_L, slots_L, generations_L, bytes_L)
        return Found(
            slots_L,
            is_mine_L,
            places_L,
            np.where(is_there_L, self.counts_S[places_L], 0).astype(np.float64),
            np.where(is_mine_L, self.totals_C[slots_L], 0).astype(np.float64),
            np.where(is_mine_L, self.kinds_C[slots_L], 0).astype(np.float64),
        )

    def _places(self, slots: Places, generations: Counts, what: Hashes) -> Places:
        keys = (slots.astype(np.uint64) << np.uint64(24)) | (
            generations.astype(np.uint64) << np.uint64(8)
        )
        hashes = mixed((keys | what) * MIX + np.uint64(self.length))
        return (hashes & self._count_mask).astype(np.intp)

    def _is_there(self, places: Places, slots: Places, generations: Counts, what: Hashes) -> Flags:
        found: Flags = (
            (self.counts_S[places] > 0)
            & (self.owners_S[places] == slots)
            & (self.owner_generations_S[places] == generations)
            & (self.bytes_S[places] == what)
        )
        return found

    def count(self, contexts_L: Hashes, bytes_L: Hashes) -> None:
        """Learn that each byte followed its context."""
        self._claim(contexts_L)
        slots_L = (contexts_L & self._context_mask).astype(np.intp)
        mine_L = self.tags_C[slots_L] == (contexts_L >> HIGH).astype(np.uint16)
        slots_L, bytes_L = slots_L[mine_L], bytes_L[mine_L]
        self.credits_C[slots_L] = np.minimum(self.credits_C[slots_L] + 1, MOST_CREDIT)
        # Each (context, byte) once, with how often; of several at one place, one comes through.
        keys, times = np.unique((slots_L << 8) | bytes_L.astype(np.intp), return_counts=True)
        slots, what = keys >> 8, (keys & 0xFF).astype(np.uint64)
        generations = self.generations_C[slots]
        places = self._places(slots, generations, what)
        places, one_each = np.unique(places, return_index=True)
        slots, what, generations = slots[one_each], what[one_each], generations[one_each]
        times = times[one_each]
        is_same = self._is_there(places, slots, generations, what)
        owners = self.owners_S[places].astype(np.intp)
        is_owned = ~is_same & (self.generations_C[owners] == self.owner_generations_S[places])
        # What nobody can reach any more is as good as free.
        before = np.where(is_same | is_owned, self.counts_S[places], 0).astype(np.int64)
        is_taken = ~is_same & (times > before)
        worn = np.where(is_owned, np.minimum(times, before), 0)
        np.subtract.at(self.totals_C, owners, worn.astype(np.uint16))
        np.subtract.at(self.kinds_C, owners[is_owned & (before > 0) & (times >= before)], ONE)
        added = np.where(is_same, times, np.where(is_taken, times - before, 0))
        self.counts_S[places] = np.where(
            is_same | is_taken, added + before * is_same, before - worn
        )
        np.add.at(self.totals_C, slots, added.astype(np.uint16))
        np.add.at(self.kinds_C, slots[is_taken], ONE)
        taken = places[is_taken]
        self.owners_S[taken] = slots[is_taken]
        self.owner_generations_S[taken] = generations[is_taken]
        self.bytes_S[taken] = what[is_taken]
        if int(self.totals_C[slots].max(initial=0)) > MOST:
            # A half of an odd count is lost, and a count of one: kinds stay, and pass on more.
            self.totals_C >>= 1
            self.counts_S >>= 1

    def _claim(self, contexts_L: Hashes) -> None:
        """A context without a slot of its own wears down the one in its place."""
        slots, first = np.unique(
            (contexts_L & self._context_mask).astype(np.intp), return_index=True
        )
        tags = (contexts_L[first] >> HIGH).astype(np.uint16)
        is_strange = self.tags_C[slots] != tags
        slots, tags = slots[is_strange], tags[is_strange]
        is_taken = self.credits_C[slots] == 0
        self.credits_C[slots[~is_taken]] -= 1
        slots = slots[is_taken]
        self.tags_C[slots] = tags[is_taken]
        self.totals_C[slots] = 0
        self.kinds_C[slots] = 0
        self.generations_C[slots] += 1


class Ngram:
    """See the module. A part of the state. orders: lengths of contexts, ascending from 1."""

    def __init__(self, max_order: int = 5, context_bits: int = 15, count_bits: int = 17) -> None:
        self._single_256 = np.zeros(256, np.int64)
        self._orders = [Order(n, context_bits, count_bits) for n in range(1, max_order + 1)]
        self.num_bytes = 0

    def bits(self, text: bytes) -> float:
        """The cost of `text` after what was counted so far; counts nothing."""
        if not text:
            return 0.0
        contexts, bytes_L = self._contexts(text)
        return float(self._bits(contexts, bytes_L).sum())

    def learn(self, text: bytes) -> float:
        """Charge, then count, piece by piece; gives the cost in bits."""
        if not text:
            return 0.0
        contexts, bytes_L = self._contexts(text)
        total = 0.0
        for start in range(0, len(text), PIECE):
            part = slice(start, start + PIECE)
            pieces = [context[part] for context in contexts]
            total += float(self._bits(pieces, bytes_L[part]).sum())
            for order, piece in zip(self._orders, pieces, strict=True):
                order.count(piece, bytes_L[part])
            self._single_256 += np.bincount(bytes_L[part].astype(np.intp), minlength=256)
        self.num_bytes += len(text)
        return total

    def _contexts(self, text: bytes) -> tuple[list[Hashes], Hashes]:
        """Of each order, the hash of the bytes before each byte; a text begins after zeros."""
        longest = self._orders[-1].length if self._orders else 0
        padded = np.frombuffer(bytes(longest) + text, np.uint8).astype(np.uint64)
        contexts = []
        for order in self._orders:
            packed = np.zeros(len(text), np.uint64)
            for back in range(order.length, 0, -1):
                start = longest - back
                packed = (packed << np.uint64(8)) | padded[start : start + len(text)]
            contexts.append(mixed((packed + np.uint64(order.length)) * MIX))
        return contexts, padded[longest:]

    def _bits(self, contexts: Sequence[Hashes], bytes_L: Hashes) -> Numbers:
        chance_L = (self._single_256[bytes_L.astype(np.intp)] + 1.0) / (
            self._single_256.sum() + 256.0
        )
        for order, contexts_L in zip(self._orders, contexts, strict=True):
            found = order.look_up(contexts_L, bytes_L)
            weight_L = found.totals_L + found.kinds_L
            mixed_L = (found.counts_L + found.kinds_L * chance_L) / np.maximum(weight_L, 1.0)
            chance_L = np.where(found.kinds_L > 0, mixed_L, chance_L)
        bits_L: Numbers = -np.log2(chance_L)
        return bits_L

    # The checkpoint's view

    def tensors(self) -> dict[str, Tensor]:
        """int16, since not every reader of tensors knows uint16."""
        found = {"single": torch.from_numpy(self._single_256)}
        for order in self._orders:
            for name, array in order.arrays().items():
                found[f"{order.length}.{name}"] = torch.from_numpy(array.view(np.int16))
        return found

    def restore_tensors(self, tensors: Mapping[str, Tensor], num_bytes: int) -> None:
        """Raises CheckpointError when they are of another size."""
        own = self.tensors()
        if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
            raise CheckpointError("the n-gram baseline there has tables of another size")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        self.num_bytes = num_bytes
