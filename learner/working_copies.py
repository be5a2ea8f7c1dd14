"""Decoders that a step computes with: they follow the model that learns, and collect gradients.

Each worker has one, so that its gradients are its own until all are added up in order. Where
products are in bfloat16, matrices are turned into it once a step and for all copies, not in each
product, and gradients become float32 where they are added up: the numbers are autocast's, whose
casts took a sixth of a small step.

Source: Micikevicius et al., Mixed Precision Training, 2018 (arXiv:1710.03740), for master weights;
without loss scaling, which bfloat16's exponents do not need.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn import Parameter

from learner import workers
from riverrun.model.decoder import Decoder, Linear

TABLE, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


class WorkingCopies:
    """Of one model, whose weights and gradients are float32 always.

    num: copies. is_mixed: whether their matrices are bfloat16; they are run under autocast then.
    Where nothing is gained by a copy, the first one is the model itself.
    """

    def __init__(self, model: Decoder, num: int, *, is_mixed: bool) -> None:
        self.model = model
        self._parameters = dict(model.named_parameters())
        # By the names of the model's: what each copy has instead of it, the first copy's first.
        self._own: dict[str, list[Parameter]] = {name: [] for name in self._parameters}
        turned = _turned(model) if is_mixed else {}
        first = [] if is_mixed else [model]
        self.decoders = [*first, *(self._copy(turned) for _ in range(num - len(first)))]
        learning = [name for name, p in self._parameters.items() if p.requires_grad]
        self._parts = [learning[first::num] for first in range(num)]
        # Kept from step to step: fresh memory costs more than what is done in it.
        self._sums = {n: torch.empty_like(self._parameters[n]) for n in learning if is_mixed}

    def follow(self) -> None:
        """Have the model's weights, as they are now."""
        workers.run([partial(self._follow, part) for part in self._parts])

    def hand_over(self) -> None:
        """Add the copies' gradients to the model's, copy by copy; they have none then."""
        workers.run([partial(self._hand_over, part) for part in self._parts])

    def _copy(self, turned: Mapping[str, Tensor]) -> Decoder:
        """A decoder whose weights lie where the model's do, or what they were turned into."""
        memo: dict[int, Parameter] = {}
        for name, p in self._parameters.items():
            memo[id(p)] = Parameter(turned.get(name, p.detach()), p.requires_grad)
            self._own[name].append(memo[id(p)])
        made = copy.deepcopy(self.model, memo)
        if self.model.config.tie_embeddings and OUTPUT in turned:
            # Looked up in float32 and multiplied with in bfloat16: two matrices.
            (vocabulary, width), table = turned[OUTPUT].shape, self._parameters[TABLE]
            made.config = replace(made.config, tie_embeddings=False)
            made.lm_head = Linear(width, vocabulary, bias=False, device="meta")
            made.lm_head.weight = Parameter(turned[OUTPUT], table.requires_grad)
            self._own[TABLE].append(made.lm_head.weight)
        return made

    @torch.no_grad()
    def _follow(self, names: Sequence[str]) -> None:
        for name in names:
            p, turned = self._parameters[name], None
            for own in self._own[name]:
                if own.dtype == p.dtype:
                    own.data = p.data
                else:
                    turned = own
            if turned is not None:
                # All copies' matrices are one.
                turned.copy_(p)

    @torch.no_grad()
    def _hand_over(self, names: Sequence[str]) -> None:
        for name in names:
            p = self._parameters[name]
            for own in self._own[name]:
                if own.grad is None:
                    continue
                if p.grad is not None:
                    p.grad.add_(own.grad)
                else:
                    kept = self._sums.get(name)
                    p.grad = own.grad if kept is None else kept.copy_(own.grad)
                own.grad = None


def _turned(model: Decoder) -> dict[str, Tensor]:
    """Each matrix that is multiplied with, in bfloat16, by its name."""
    matrices = {f"{n}.weight": m.weight for n, m in model.named_modules() if isinstance(m, Linear)}
    matrices[OUTPUT] = model.output_matrix
    return {name: matrix.detach().bfloat16() for name, matrix in matrices.items()}
