"""A cache of texts that go on from common prompts: a prompt's keys are kept once, however many
texts branch off from it.

Twelve questions on each of six documents saw 72 copies of their prompts otherwise; copying and
reading them was half of the time that writing took. Here the queries of a prompt's branches go
through one product with its keys, and only what each branch wrote itself is its own.

Source: Juravsky et al., Hydragen: High-Throughput LLM Inference with Shared Prefixes, 2024
(arXiv:2402.05099); there two softmaxes are joined, here one runs over both parts' scores.

P prompts, B branches, R those of one prompt, H heads, G key and value heads, X heads of a group,
Y = R x X, S positions of a prompt, C columns that branches may write, Z = S + C, D width of a head.
"""

import torch
from torch import Tensor

from riverrun.model.cache import ContiguousCache


class Branches:
    """Each prompt of `prompts` goes on `num_branches` times; branches of a prompt lie together."""

    def __init__(self, prompts: ContiguousCache, num_branches: int, capacity: int) -> None:
        """capacity: tokens that a branch may come to."""
        self._columns_P = prompts.real_columns()
        # By layer and prompt: (G, D, S) and (G, S, D), as the products want them.
        self._keys_LP = [
            [keys[:, columns].mT.contiguous() for keys, columns in zip(layer, self._columns_P)]  # noqa: B905
            for layer in prompts.keys_LBHCD
        ]
        self._values_LP = [
            [values[:, columns] for values, columns in zip(layer, self._columns_P)]  # noqa: B905
            for layer in prompts.values_LBHCD
        ]
        num_layers, num_prompts, num_groups, _, width = prompts.keys_LBHCD.shape
        shape = (num_layers, num_prompts * num_branches, num_groups, capacity, width)
        self._own_keys_LBGCD = prompts.keys_LBHCD.new_zeros(shape)
        self._own_values_LBGCD = torch.zeros_like(self._own_keys_LBGCD)
        self._owners = [i for i in range(num_prompts) for _ in range(num_branches)]
        self._num_own = 0
        self._spans = _spans(self._owners)

    def take(self, rows_B: Tensor) -> None:
        """Go on with these branches only, in their order."""
        self._own_keys_LBGCD = self._own_keys_LBGCD.index_select(1, rows_B)
        self._own_values_LBGCD = self._own_values_LBGCD.index_select(1, rows_B)
        self._owners = [self._owners[row] for row in rows_B.tolist()]
        self._spans = _spans(self._owners)

    def positions_BT(self, num_new: int) -> Tensor:
        """Of the next token of each branch, (B, 1)."""
        assert num_new == 1, "branches go on token by token"
        lengths = [len(self._columns_P[owner]) + self._num_own for owner in self._owners]
        return torch.tensor(lengths, device=self._own_keys_LBGCD.device)[:, None]

    def attend(
        self, layer: int, query_BH1D: Tensor, key_BG1D: Tensor, value_BG1D: Tensor
    ) -> Tensor:
        """Stores the new keys and values; what the queries see, (B, H, 1, D)."""
        self._num_own += layer == 0
        # All columns, also those to come: a product is compiled for each new shape.
        own_keys_BGCD, own_values_BGCD = self._own_keys_LBGCD[layer], self._own_values_LBGCD[layer]
        newest = slice(self._num_own - 1, self._num_own)
        own_keys_BGCD[:, :, newest] = key_BG1D
        own_values_BGCD[:, :, newest] = value_BG1D
        batch, num_heads, _, width = query_BH1D.shape
        num_groups, capacity, kind = key_BG1D.shape[1], own_keys_BGCD.shape[2], own_keys_BGCD.dtype
        query_BGXD = (query_BH1D.to(kind) * width**-0.5).view(batch, num_groups, -1, width)
        own_BGXC = query_BGXD @ own_keys_BGCD.mT
        own_BGXC[..., self._num_own :] = float("-inf")
        own_weights_BGXC = torch.empty_like(own_BGXC)
        seen_BGXD = torch.empty_like(query_BGXD)
        for owner, first, end in self._spans:
            keys_GDS, values_GSD = self._keys_LP[layer][owner], self._values_LP[layer][owner]
            num_rows, num_shared = end - first, keys_GDS.shape[-1]
            # All branches of the prompt, and all heads of a group, as rows of one product.
            query_GYD = query_BGXD[first:end].transpose(0, 1).reshape(num_groups, -1, width)
            own_GYC = own_BGXC[first:end].transpose(0, 1).reshape(num_groups, -1, capacity)
            weights_GYZ = torch.cat((query_GYD @ keys_GDS, own_GYC), -1).softmax(-1, dtype=kind)
            seen_GYD = weights_GYZ[..., :num_shared] @ values_GSD
            own_GRXC = weights_GYZ[..., num_shared:].reshape(num_groups, num_rows, -1, capacity)
            own_weights_BGXC[first:end] = own_GRXC.transpose(0, 1)
            seen_GRXD = seen_GYD.view(num_groups, num_rows, -1, width)
            seen_BGXD[first:end] = seen_GRXD.transpose(0, 1)
        seen_BGXD += own_weights_BGXC @ own_values_BGCD
        return seen_BGXD.view(batch, num_heads, 1, width)


def _spans(owners: list[int]) -> list[tuple[int, int, int]]:
    """(prompt, first branch, end) of the prompts that still have branches."""
    found = []
    first = 0
    for row in range(1, len(owners) + 1):
        if row == len(owners) or owners[row] != owners[first]:
            found.append((owners[first], first, row))
            first = row
    return found
