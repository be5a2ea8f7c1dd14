"""The tables that the n-gram baseline counts in: all orders at once, bounded, by numpy.

Hashed, and they never grow. A context that finds a stranger in its place wears it down and takes
the place at last, as a new generation, so that counts of the former one are out of reach. A count
knows its owner (context, generation, byte); one that finds a stranger wears that down too, and the
stranger's context loses what its count loses. So what a context says of the next byte always sums
to one, however full the tables are.

Knows nothing of texts or chances. Called by `ngram.py`.

Source: the wearing down after Misra and Gries, Finding Repeated Elements, 1982.

O orders, L bytes of a piece, M numbers, C slots of contexts, S slots of counts (of all orders).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MOST = 60_000
"""A context's count at most; then all counts of its order are halved."""
MOST_CREDIT = np.uint16(15)

Hashes = npt.NDArray[np.uint64]
Table = npt.NDArray[np.uint16]
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


def sorted_firsts(numbers_M: Places) -> tuple[Places, Places]:
    """Each of `numbers_M` (from 0) once, ascending, and the index where it comes first.

    As `np.unique(…, return_index=True)`, whose stable sort of indices takes five times as long.
    """
    shift = len(numbers_M).bit_length()
    packed_M = (numbers_M << shift) | np.arange(len(numbers_M))
    packed_M.sort()
    sorted_M = packed_M >> shift
    firsts = run_starts(sorted_M)
    return sorted_M[firsts], packed_M[firsts] & ((1 << shift) - 1)


def run_starts(sorted_M: Places) -> Places:
    """Where a number stands that is not the one before it."""
    is_first_M = np.ones(len(sorted_M), np.bool_)
    np.not_equal(sorted_M[1:], sorted_M[:-1], out=is_first_M[1:])
    return np.flatnonzero(is_first_M)


class Found(NamedTuple):
    """What is known of L bytes in their contexts, of each of O orders."""

    counts_OL: Numbers
    totals_OL: Numbers
    kinds_OL: Numbers


class Counts:
    """What followed the last 1 to `num_orders` bytes.

    Of a context: tags, whose it is; totals, the sum of its counts; kinds, how many counts it has;
    credits, how many strangers it outlives. Of a count: its owner's slot and generation, its byte.

    The tables of all orders lie end to end, so that numpy is called once for all of them: a piece
    is short, and a call costs as much as its numbers. A slot or place holds its order in the bits
    above its own; orders never meet.
    """

    def __init__(self, num_orders: int, context_bits: int, count_bits: int) -> None:
        assert context_bits <= 16, "an owner's slot has to fit"
        self.num_orders = num_orders
        self._context_bits = np.uint64(context_bits)
        self._count_bits = np.uint64(count_bits)
        self._context_mask = np.uint64(2**context_bits - 1)
        self._count_mask = np.uint64(2**count_bits - 1)
        contexts, counts = num_orders << context_bits, num_orders << count_bits
        self.tags_C = np.zeros(contexts, np.uint16)
        self.totals_C = np.zeros(contexts, np.uint16)
        self.kinds_C = np.zeros(contexts, np.uint16)
        self.credits_C = np.zeros(contexts, np.uint16)
        self.generations_C = np.zeros(contexts, np.uint16)
        self.owners_S = np.zeros(counts, np.uint16)
        self.owner_generations_S = np.zeros(counts, np.uint16)
        self.bytes_S = np.zeros(counts, np.uint16)
        self.counts_S = np.zeros(counts, np.uint16)

    def arrays(self, order: int) -> dict[str, Table]:
        """Of one order, from 0."""
        return {
            name: np.split(array, self.num_orders)[order]
            for name, array in vars(self).items()
            if name.endswith(("_C", "_S"))
        }

    def look_up(self, contexts_OL: Hashes, bytes_L: Hashes) -> Found:
        shape = contexts_OL.shape
        slots, tags = self._slots(contexts_OL)
        what = np.broadcast_to(bytes_L, shape).reshape(-1)
        is_mine = self.tags_C.take(slots) == tags
        generations = self.generations_C.take(slots)
        places = self._places(slots, generations, what)
        is_there = is_mine & self._is_there(places, slots, generations, what)
        return Found(
            (self.counts_S.take(places) * is_there).astype(np.float64).reshape(shape),
            (self.totals_C.take(slots) * is_mine).astype(np.float64).reshape(shape),
            (self.kinds_C.take(slots) * is_mine).astype(np.float64).reshape(shape),
        )

    def _slots(self, contexts_OL: Hashes) -> tuple[Places, Table]:
        """Of each context its slot and tag, order after order."""
        orders_O1 = np.arange(self.num_orders, dtype=np.uint64)[:, None]
        slots_OL = (contexts_OL & self._context_mask) | (orders_O1 << self._context_bits)
        return slots_OL.reshape(-1).view(np.intp), (contexts_OL >> HIGH).astype(np.uint16).ravel()

    def _places(self, slots: Places, generations: Table, what: Hashes) -> Places:
        numbers = slots.view(np.uint64)
        orders = numbers >> self._context_bits
        keys = ((numbers & self._context_mask) << np.uint64(24)) | (
            generations.astype(np.uint64) << np.uint64(8)
        )
        hashes = mixed((keys | what) * MIX + (orders + np.uint64(1)))
        places = (hashes & self._count_mask) | (orders << self._count_bits)
        return places.view(np.intp)

    def _is_there(self, places: Places, slots: Places, generations: Table, what: Hashes) -> Flags:
        owners = (slots.view(np.uint64) & self._context_mask).astype(np.uint16)
        found: Flags = (
            (self.counts_S.take(places) > 0)
            & (self.owners_S.take(places) == owners)
            & (self.owner_generations_S.take(places) == generations)
            & (self.bytes_S.take(places) == what.astype(np.uint16))
        )
        return found

    def count(self, contexts_OL: Hashes, bytes_L: Hashes) -> None:
        """Learn that each byte followed its context, in every order."""
        slots, tags = self._slots(contexts_OL)
        self._claim(slots, tags)
        is_mine = self.tags_C.take(slots) == tags
        what = np.broadcast_to(bytes_L, contexts_OL.shape).reshape(-1)
        slots, what = slots[is_mine], what[is_mine]
        self.credits_C[slots] = np.minimum(self.credits_C.take(slots) + ONE, MOST_CREDIT)
        # Each (context, byte) once, with how often; of several at one place, one comes through.
        keys = (slots << 8) | what.view(np.intp)
        keys.sort()
        starts = run_starts(keys)
        times, keys = np.diff(starts, append=len(keys)), keys[starts]
        slots, what = keys >> 8, (keys & 0xFF).view(np.uint64)
        generations = self.generations_C.take(slots)
        places, one_each = sorted_firsts(self._places(slots, generations, what))
        slots, what, generations = slots[one_each], what[one_each], generations[one_each]
        times = times[one_each]
        is_same = self._is_there(places, slots, generations, what)
        above = (places.view(np.uint64) >> self._count_bits) << self._context_bits
        owners = self.owners_S.take(places) + above.view(np.intp)
        is_owned = ~is_same & (
            self.generations_C.take(owners) == self.owner_generations_S.take(places)
        )
        # What nobody can reach any more is as good as free.
        before = np.where(is_same | is_owned, self.counts_S.take(places), 0).astype(np.int64)
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
        self.owners_S[taken] = slots[is_taken] & int(self._context_mask)
        self.owner_generations_S[taken] = generations[is_taken]
        self.bytes_S[taken] = what[is_taken]
        self._halve(slots)

    def _claim(self, slots: Places, tags: Table) -> None:
        """A context without a slot of its own wears down the one in its place."""
        slots, first = sorted_firsts(slots)
        tags = tags[first]
        is_strange = self.tags_C.take(slots) != tags
        slots, tags = slots[is_strange], tags[is_strange]
        is_taken = self.credits_C.take(slots) == 0
        self.credits_C[slots[~is_taken]] -= ONE
        slots = slots[is_taken]
        self.tags_C[slots] = tags[is_taken]
        self.totals_C[slots] = 0
        self.kinds_C[slots] = 0
        self.generations_C[slots] += ONE

    def _halve(self, slots: Places) -> None:
        """The counts of each order in which one of these contexts has too many.

        A half of an odd count is lost, and a count of one: kinds stay, and pass on more.
        """
        too_many = slots[self.totals_C.take(slots) > MOST]
        for order in set((too_many >> int(self._context_bits)).tolist()):
            arrays = self.arrays(order)
            arrays["totals_C"] >>= 1
            arrays["counts_S"] >>= 1
