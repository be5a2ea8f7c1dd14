"""Examples of the stream, with what strategies store beside them, in blocks allocated once.

Adding and sampling cost what the batch costs, however much is held; nothing grows after the start.
The policy says which examples are kept and which are shown.

The memory is a part of the learner's state: its snapshot is the rows that changed since the one
before, without padding. Knows nothing of gradients or files. Called by `step.py`, `lesson.py`,
the strategies and `checkpoint.py`.

C capacity in slots, T tokens of a block, n examples of a batch, N predicted tokens of them all in
order, K width of an extra.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learner.framing import Example
from learner.memory.places import Place
from learner.memory.policies import policy_named
from learner.memory.policy import Losses, Placed, Tuning
from learner.memory.table import Column, Slots, Table
from learner.part import Snapshot
from learner.seeds import Random
from riverrun.errors import CheckpointError

COLUMNS = {
    "lengths": Column(np.int32),
    "first_targets": Column(np.int32),
    "follow_prefix": Column(np.int32),
    "sources": Column(np.int32),
}
HOST = Place("memory")
UNTUNED = Tuning()


class Extra(NamedTuple):
    """What a strategy stores with each predicted token: `width` numbers of `dtype`."""

    width: int
    dtype: torch.dtype


class Sampled(NamedTuple):
    """Examples to show, and the slots they are in (until the next `add`)."""

    slots: Slots
    examples: list[Example]


class Memory:
    """At most `capacity` examples of at most `block_tokens` tokens.

    extras: by name, what is stored beside tokens; memory for it is taken only if it is named.

        memory = Memory(8192, 256, extras={"ids": Extra(64, torch.int32)})
        placed = memory.add(examples, source, random)       # .kept: indices, .slots: where
        memory.store(placed.slots, "ids", ids_NK)           # N: their targets, in order
        sampled = memory.sample(16, random)                 # .slots, .examples
        memory.has(sampled.slots, "ids")                    # (n,) bool: was it stored?
        memory.stored(sampled.slots, "ids")                 # (N, K), on the memory's place
        memory.update_losses(sampled.slots, losses_n)       # before the next add

    Raises InvalidValue for an unknown policy or place.
    """

    def __init__(
        self,
        capacity: int,
        block_tokens: int,
        *,
        policy: str = "reservoir",
        tuning: Tuning = UNTUNED,
        extras: Mapping[str, Extra] | None = None,
        place: Place = HOST,
    ) -> None:
        kind = policy_named(policy)
        self.capacity = capacity
        self.block_tokens = block_tokens
        self.sources: dict[str, int] = {}
        self.extras = dict(extras or {})
        flags = {f"has.{name}": Column(np.int32) for name in self.extras}
        self.table = Table(capacity, {**COLUMNS, **flags, **kind.columns()})
        self.policy = kind(self.table, tuning)
        self.tokens_CT = place.zeros((capacity, block_tokens), torch.int32)
        self._extras_CTK = {
            name: place.zeros((capacity, block_tokens, extra.width), extra.dtype)
            for name, extra in self.extras.items()
        }

    @property
    def num_held(self) -> int:
        return self.table.num_held

    @property
    def num_seen(self) -> int:
        return self.table.num_seen

    def __len__(self) -> int:
        return self.table.num_held

    def add(self, examples: Sequence[Example], source: str, random: Random) -> Placed:
        """Offer examples; which of them are held now (indices), and where."""
        number = self.sources.setdefault(source, len(self.sources))
        placed = self.policy.place(len(examples), number, random)
        kept = [examples[i] for i in placed.kept.tolist()]
        lengths_n = np.fromiter((len(x.tokens) for x in kept), np.int64, len(kept))
        tokens_nT = np.zeros((len(kept), self.block_tokens), np.int32)
        for row_T, example in zip(tokens_nT, kept, strict=True):
            row_T[: len(example.tokens)] = example.tokens
        slots, table = placed.slots, self.table
        self.tokens_CT[self._there(slots)] = torch.from_numpy(tokens_nT).to(self.tokens_CT.device)
        table.write("lengths", slots, lengths_n)
        firsts = np.fromiter((x.first_target for x in kept), np.int64, len(kept))
        table.write("first_targets", slots, firsts)
        follow = np.fromiter((x.follows_prefix for x in kept), np.int64, len(kept))
        table.write("follow_prefix", slots, follow)
        table.write("sources", slots, number)
        for name in self.extras:
            table.write(f"has.{name}", slots, 0)
        return placed

    def sample(self, num_examples: int, random: Random) -> Sampled:
        """Different examples, as the policy chooses; all of them when there are fewer."""
        slots = self.policy.draw(num_examples, random)
        return Sampled(slots, self.examples(slots))

    def examples(self, slots: Slots) -> list[Example]:
        rows = self.tokens_CT[self._there(slots)].tolist()
        table = self.table
        return [
            Example(row[:length], first, bool(follows))
            for row, length, first, follows in zip(
                rows,
                table["lengths"][slots].tolist(),
                table["first_targets"][slots].tolist(),
                table["follow_prefix"][slots].tolist(),
                strict=True,
            )
        ]

    def update_losses(self, slots: Slots, losses: Losses) -> None:
        """What these examples cost now, nats a token: what a policy may choose by."""
        self.policy.lost(slots, losses)

    # What strategies store

    def store(self, slots: Slots, name: str, values_NK: Tensor) -> None:
        """Keep a row for each predicted token of the examples in `slots`, in their order."""
        column_CTK = self._extras_CTK[name]
        rows_N = torch.from_numpy(self._targets(slots)).to(column_CTK.device)
        flat = column_CTK.view(-1, column_CTK.shape[2])
        flat[rows_N] = values_NK.detach().to(column_CTK.device, column_CTK.dtype)
        self.table.write(f"has.{name}", slots, 1)

    def has(self, slots: Slots, name: str) -> npt.NDArray[np.bool_]:
        """For each slot whether the extra was stored since the example was added."""
        is_stored: npt.NDArray[np.bool_] = self.table[f"has.{name}"][slots] == 1
        return is_stored

    def stored(self, slots: Slots, name: str) -> Tensor:
        """What was stored: a row for each predicted token of the examples in `slots`, (N, K)."""
        column_CTK = self._extras_CTK[name]
        rows_N = torch.from_numpy(self._targets(slots)).to(column_CTK.device)
        return column_CTK.view(-1, column_CTK.shape[2])[rows_N]

    # The checkpoint's view

    def snapshot(self, *, whole: bool) -> Snapshot:
        """Rows without padding: each costs its tokens, not the block's width."""
        table = self.table
        slots = np.arange(table.num_held, dtype=np.int64) if whole else table.changed()
        table.settle()
        tensors = {"slots": torch.from_numpy(slots)}
        for name, column_C in table.columns.items():
            tensors[name] = torch.from_numpy(column_C[slots])
        cells = torch.from_numpy(self._cells(slots)).to(self.tokens_CT.device)
        tensors["tokens"] = self.tokens_CT.view(-1)[cells]
        for name in self.extras:
            tensors[f"extra.{name}"] = self.stored(slots[self.has(slots, name)], name)
        return Snapshot(tensors, msgspec.json.encode(self._facts()), whole)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Be what `snapshots` say. See `learner/part.py`."""
        facts = [msgspec.json.decode(snapshot.facts, type=dict[str, Any]) for snapshot in snapshots]
        if not facts or not snapshots[0].is_whole:
            raise CheckpointError("a memory begins with a whole snapshot, there is none")
        own = self._shape()
        for there in facts:
            wrong = [name for name in own if there.get(name) != own[name]]
            if wrong:
                name = wrong[0]
                raise CheckpointError(
                    f"the checkpoint's memory has {name} {there.get(name)!r}, "
                    f"this one has {own[name]!r}"
                )
        # From here on nothing can fail.
        self.table.clear()
        for snapshot, there in zip(snapshots, facts, strict=True):
            self.table.num_held = there["num_held"]
            self._put(snapshot.tensors)
        self.table.num_seen = facts[-1]["num_seen"]
        self.sources = {name: number for number, name in enumerate(facts[-1]["sources"])}
        self.policy.restored(facts[-1]["policy_facts"])
        self.table.settle()

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        slots = tensors["slots"].numpy()
        for name in self.table.columns:
            self.table.write(name, slots, tensors[name].numpy())
        self.tokens_CT[self._there(slots)] = 0
        cells = torch.from_numpy(self._cells(slots)).to(self.tokens_CT.device)
        self.tokens_CT.view(-1)[cells] = tensors["tokens"].to(self.tokens_CT.device)
        for name in self.extras:
            self.store(slots[self.has(slots, name)], name, tensors[f"extra.{name}"])

    def _shape(self) -> dict[str, Any]:
        return {
            "capacity": self.capacity,
            "block_tokens": self.block_tokens,
            "policy": self.policy.name,
            "extras": {n: [x.width, str(x.dtype)] for n, x in self.extras.items()},
        }

    def _facts(self) -> dict[str, Any]:
        return self._shape() | {
            "num_held": self.num_held,
            "num_seen": self.num_seen,
            "sources": list(self.sources),
            "policy_facts": self.policy.facts(),
        }

    def _there(self, slots: Slots) -> Tensor:
        return torch.from_numpy(slots).to(self.tokens_CT.device)

    def _cells(self, slots: Slots) -> Slots:
        """Where each token of these slots lies in the blocks laid end to end."""
        lengths_n = self.table["lengths"][slots]
        return _ranges(slots * self.block_tokens, lengths_n)

    def _targets(self, slots: Slots) -> Slots:
        """As `_cells`, of the predicted tokens only."""
        firsts_n = self.table["first_targets"][slots]
        lengths_n = self.table["lengths"][slots]
        return _ranges(slots * self.block_tokens + firsts_n, lengths_n - firsts_n)


def _ranges(starts_n: Slots, lengths_n: npt.NDArray[Any]) -> Slots:
    """The numbers of `range(start, start + length)`, one after the other for all n."""
    ends_n = np.cumsum(lengths_n, dtype=np.int64)
    total = int(ends_n[-1]) if len(ends_n) else 0
    shifts: Slots = np.repeat(starts_n - ends_n + lengths_n, lengths_n)
    return shifts + np.arange(total)
