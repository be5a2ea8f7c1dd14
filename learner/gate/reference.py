"""The promoted version that candidates are held against: its weights, and what it knew.

Weights are kept as published (one more copy of the model), so that text which came after it is
measured under it too; each text once. After a restart they come back from the store.

Knows nothing of rules. Called by `judge.py`.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from learner.content import Content
from learner.watch.surprise import Surprise, wearing
from riverrun.errors import StoreError
from riverrun.model.decoder import Decoder
from riverrun.store import VersionStore

MOST_TEXTS = 4096
"""Whose losses are remembered."""


class Reference:
    """See the module. Without weights there is none, and nothing can be compared."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._weights: dict[str, Tensor] | None = None
        self._nats: dict[Content, float] = {}

    @property
    def is_there(self) -> bool:
        return self._weights is not None

    @torch.no_grad()
    def become(self, weights: Mapping[str, Tensor], nats: Mapping[Content, float]) -> None:
        """Copy `weights`, which pay `nats` for these texts."""
        if self._weights is None or self._weights.keys() != weights.keys():
            self._weights = {
                n: torch.empty_like(w, dtype=self._dtype, requires_grad=False)
                for n, w in weights.items()
            }
        for name, own in self._weights.items():
            own.copy_(weights[name])
        self._nats = dict(nats)

    def load(self, store: VersionStore, version: str, device: torch.device) -> bool:
        """Be `version`, whose weights may be gone or damaged: then there is no reference."""
        from safetensors.torch import load_file

        try:
            with store.weights(version) as path:
                self._weights = load_file(path, device=str(device))
        except StoreError:
            return False
        self._nats = {}
        return True

    def nats(self, model: Decoder, surprise: Surprise, texts: Sequence[Content]) -> list[float]:
        """Of each text under the reference's weights."""
        assert self._weights is not None, "a reference is there"
        unknown = [text for text in dict.fromkeys(texts) if text not in self._nats]
        if unknown:
            with wearing(model, self._weights):
                measured = surprise.nats(model, unknown)
            self._nats.update(zip(unknown, measured, strict=True))
        found = [self._nats[text] for text in texts]
        while len(self._nats) > MOST_TEXTS:
            del self._nats[next(iter(self._nats))]
        return found
