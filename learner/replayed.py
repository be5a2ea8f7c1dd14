"""What replayed examples cost in a step, by their slot: what a memory may choose by.

Called by `step.py`.
"""

import numpy as np
import torch
from torch import Tensor

from learner.batch import Batch
from learner.memory import Memory


class Replayed:
    """Gathers chunk by chunk; `tell` once the step is done, before anything is added."""

    def __init__(self) -> None:
        self._slots: list[int] = []
        self._means: list[Tensor] = []

    def see(self, batch: Batch, losses_N: Tensor) -> None:
        """losses_N: nats of each predicted token of the chunk."""
        replayed = [i for i, text in enumerate(batch.texts) if text.slot is not None]
        if not replayed:
            return
        lengths = [text.example.num_targets for text in batch.texts]
        texts_N = torch.repeat_interleave(torch.tensor(lengths)).to(losses_N.device)
        sums = torch.zeros(len(lengths), dtype=torch.float64, device=losses_N.device)
        sums.index_add_(0, texts_N, losses_N.double())
        means = sums / torch.tensor(lengths, device=losses_N.device)
        self._slots += [slot for text in batch.texts if (slot := text.slot) is not None]
        self._means.append(means[replayed])

    def tell(self, memory: Memory) -> None:
        if self._slots:
            means = torch.cat(self._means).cpu().numpy()
            memory.update_losses(np.array(self._slots, np.int64), means)
