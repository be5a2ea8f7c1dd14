"""Strategies as sums: the prediction loss, and terms that each add one idea to it.

`replay+distill+origin` is one forward pass whose logits all three read. A term may ask for the
replay memory or the origin's anchors, add a loss, and change gradients or weights by hooks
(`term.py`).

N predicted tokens, M anchored positions, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from torch import Tensor

from learner.batch import Batch
from learner.losses import logits_at, prediction_losses
from learner.memory import Extra, Placed
from learner.part import Part, Snapshot
from learner.strategies.term import Said, Term
from riverrun.model.decoder import Decoder

if TYPE_CHECKING:
    from learner.lesson import Lesson
    from learner.state import State


class Losses(NamedTuple):
    """`total` is what the gradient is taken of; the rest is what the reports tell."""

    total: Tensor
    predictions_N: Tensor
    divergences_M: Tensor | None = None


class Strategy:
    """The prediction loss of all texts that are shown, and the terms. See `Term` for the hooks."""

    def __init__(self, terms: Mapping[str, Term]) -> None:
        self.terms = dict(terms)
        every = self.terms.values()
        self.uses_memory = any(term.uses_memory for term in every)
        self.uses_origin = any(term.uses_origin for term in every)
        self.is_pure = all(term.is_pure for term in every)
        self._parts = {name: t.part for name, t in self.terms.items() if t.part is not None}

    @property
    def extras(self) -> Mapping[str, Extra]:
        return {name: x for term in self.terms.values() for name, x in term.extras.items()}

    @property
    def part(self) -> Part | None:
        return Joined(self._parts) if self._parts else None

    def begin(self, state: "State", lesson: "Lesson") -> None:
        for term in self.terms.values():
            term.begin(state, lesson)

    def losses(self, model: Decoder, batch: Batch) -> Losses:
        said = Said(*logits_at(model, batch, anchored=self.uses_origin))
        losses_N = prediction_losses(said.logits_NV, batch.targets_N)
        total = (losses_N * batch.weights_N).sum()
        divergences_M = None
        for term in self.terms.values():
            added = term.loss(batch, said)
            if added is None:
                continue
            total = total + added.loss
            if added.divergences_M is not None:
                divergences_M = added.divergences_M
        return Losses(total, losses_N.detach(), divergences_M)

    def before_update(self, state: "State", lesson: "Lesson") -> None:
        for term in self.terms.values():
            term.before_update(state, lesson)

    def after_update(self, state: "State", lesson: "Lesson") -> None:
        for term in self.terms.values():
            term.after_update(state, lesson)

    def remembered(self, state: "State", owner: int, placed: Placed) -> None:
        for term in self.terms.values():
            term.remembered(state, owner, placed)


class Joined:
    """Parts of several terms as one; each of them whole, always."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = dict(parts)

    def snapshot(self, *, whole: bool) -> Snapshot:
        del whole
        tensors: dict[str, Tensor] = {}
        facts: dict[str, str] = {}
        for name, part in self._parts.items():
            one = part.snapshot(whole=True)
            tensors |= {f"{name}.{key}": tensor for key, tensor in one.tensors.items()}
            facts[name] = one.facts.decode()
        return Snapshot(tensors, msgspec.json.encode(facts))

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        newest = snapshots[-1]
        facts = msgspec.json.decode(newest.facts, type=dict[str, str])
        for name, part in self._parts.items():
            own = {
                key.removeprefix(f"{name}."): tensor
                for key, tensor in newest.tensors.items()
                if key.startswith(f"{name}.")
            }
            part.restore([Snapshot(own, facts[name].encode())])
