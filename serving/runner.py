"""One pass of one version over a batch: tokens in, the next token of each sequence out.

Only the last token of each row is projected to the vocabulary. Knows nothing of who waits or of
text. Called by `serving/engine.py`, on its thread.

B rows, T new tokens, D hidden width, V vocabulary.
"""

import torch
from torch import Tensor

from serving.cache import SlottedCache
from serving.sampling import sample
from serving.scheduler import Batch
from serving.sequence import Sequence


class Runner:
    """Runs batches against one cache."""

    def __init__(self, cache: SlottedCache) -> None:
        self.cache = cache

    @torch.inference_mode()
    def run(self, batch: Batch) -> list[int | None]:
        """For each sequence its next token; None where logits are not finite.

        A token of a sequence whose prompt is not through yet means nothing.
        """
        model = batch.slot.model
        tokens_BT = self._tokens(batch)
        window = self.cache.window(
            [sequence.row for sequence in batch.sequences if sequence.row is not None],
            [sequence.num_cached for sequence in batch.sequences],
            batch.counts,
        )
        hidden_BTD = model.hidden(tokens_BT, positions_BT=window.positions_BT, cache=window)
        logits_BV = model.logits(_last(hidden_BTD, batch.counts))
        return self._choose(logits_BV, batch.sequences)

    def _tokens(self, batch: Batch) -> Tensor:
        num_new = max(batch.counts)
        rows = []
        for sequence, count in zip(batch.sequences, batch.counts, strict=True):
            start = sequence.num_cached
            tokens = sequence.tokens[start : start + count]
            rows.append(tokens + [0] * (num_new - count))
        return torch.tensor(rows, device=self.cache.device)

    def _choose(self, logits_BV: Tensor, sequences: list[Sequence]) -> list[int | None]:
        """Greedy for all in one go; then those that sample, one by one."""
        largest_B, likeliest_B = logits_BV.max(dim=-1)
        # NaN is the largest of all, so the one number tells whether the row is finite.
        finite = largest_B.isfinite().tolist()
        chosen: list[int | None] = likeliest_B.tolist()
        for i, sequence in enumerate(sequences):
            if not finite[i]:
                assert sequence.row is not None
                self.cache.clear(sequence.row)
                chosen[i] = None
            elif not sequence.sampling.is_greedy:
                chosen[i] = sample(logits_BV[i], sequence.sampling, sequence.random.random())
        return chosen


def _last(hidden_BTD: Tensor, counts: list[int]) -> Tensor:
    """Each row's last token that is not padding, (B, D)."""
    num_new = hidden_BTD.shape[1]
    if all(count == num_new for count in counts):
        return hidden_BTD[:, -1]
    rows_B = torch.arange(len(counts), device=hidden_BTD.device)
    return hidden_BTD[rows_B, torch.tensor(counts, device=hidden_BTD.device) - 1]
