"""Without enough held-out text: whether the newest text is known better than before it was learned.

What a text cost is measured once, under the best version that had not learned it, and stays what
later candidates are held against. Under the best version of the moment, which knows most of these
texts by heart, a hundredth of very little would decide: a candidate that has learned one more text
would be held for the others.

Knows nothing of rules. Called by `gate.py`.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from learner.content import Content
from learner.gate.judge import Losses, ratio_of
from learner.gate.reference import Reference
from learner.watch.surprise import Surprise, wearing
from riverrun.model.decoder import Decoder


class Newest:
    """Remembers of each text that it is asked about what it cost, as long as it is asked."""

    def __init__(self) -> None:
        self._before: dict[Content, float | None] = {}

    def losses(
        self,
        model: Decoder,
        weights: Mapping[str, Tensor],
        texts: Sequence[Content],
        surprise: Surprise,
        reference: Reference,
    ) -> Losses:
        """weights: the candidate's, which has learned the `texts`. Without numbers as long as no
        version was promoted before them."""
        self._meet(model, texts, surprise, reference)
        before = {text: nats for text, nats in self._before.items() if nats is not None}
        if not before:
            return Losses({}, {})
        with wearing(model, weights):
            own = dict(zip(before, surprise.nats(model, list(before)), strict=True))
        ratio = ratio_of(sum(own.values()), sum(before.values()))
        return Losses({"learned_ratio": ratio}, own)

    def _meet(
        self,
        model: Decoder,
        texts: Sequence[Content],
        surprise: Surprise,
        reference: Reference,
    ) -> None:
        new = [text for text in texts if text not in self._before]
        if new and reference.is_there:
            self._before.update(zip(new, reference.nats(model, surprise, new), strict=True))
        else:
            self._before.update(dict.fromkeys(new))
        self._before = {text: self._before[text] for text in texts}
