"""Our examples as Avalanche sees them: a tensor of rows, a model that reads it, a data set.

A row is an example: how many tokens, which is predicted first, whether it follows the prefix, then
the tokens. The model packs rows as a step does and gives one line of logits a predicted token, as a
classifier would that has the vocabulary for classes. So dimension 1 of what it gives is what
plugins take for it. A batch of a step is read as it is.

n rows, T tokens of a block, N predicted tokens of all rows in order, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from avalanche.benchmarks.utils import AvalancheDataset, TaskLabels
from avalanche.benchmarks.utils.flat_data import ConstantSequence
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from learner.batch import Batch, Text, build
from learner.framing import Example
from learner.losses import logits_at
from riverrun.model.decoder import Decoder

HEADER = 3
NOTHING = -100
"""Where a row predicts nothing; torch's own mark for it."""


def rows_of(examples: Sequence[Example], block_tokens: int) -> tuple[Tensor, Tensor]:
    """Rows (n, HEADER + T) and what they predict (n, T)."""
    x = torch.zeros(len(examples), HEADER + block_tokens, dtype=torch.int64)
    y = torch.full((len(examples), block_tokens), NOTHING, dtype=torch.int64)
    for i, example in enumerate(examples):
        length, first = len(example.tokens), example.first_target
        tokens = torch.tensor(example.tokens)
        x[i, :HEADER] = torch.tensor([length, first, int(example.follows_prefix)])
        x[i, HEADER : HEADER + length] = tokens
        y[i, first:length] = tokens[first:]
    return x, y


def examples_of(x: Tensor) -> list[Example]:
    return [
        Example(row[HEADER : HEADER + row[0]], row[1], bool(row[2])) for row in x.cpu().tolist()
    ]


class RowModel(nn.Module):
    """A decoder that reads rows, or a batch of a step: logits (N, V)."""

    def __init__(self, decoder: Decoder, prefix: Sequence[int], row_tokens: int) -> None:
        super().__init__()
        self.decoder = decoder
        self._prefix = list(prefix)
        self._row_tokens = row_tokens

    def forward(self, x: Tensor | Batch) -> Tensor:
        if isinstance(x, Tensor):
            texts = [Text(example, 1.0, 0) for example in examples_of(x)]
            device = self.decoder.output_matrix.device
            x = build(self._prefix, texts, [], self._row_tokens, device)
        return logits_at(self.decoder, x, anchored=False)[0]


def criterion(logits_NV: Tensor, y: Tensor) -> Tensor:
    """The mean loss; `y` is (N,), or (n, T) with NOTHING in it."""
    targets_N = y[y != NOTHING]
    return F.cross_entropy(logits_NV, targets_N)


class Targets:
    """What an experience's data predicts: the classes of a classifier."""

    def __init__(self, y: Tensor) -> None:
        self.uniques = set(y[y != NOTHING].tolist())


def dataset_of(x: Tensor, y: Tensor) -> Any:
    """Rows as a data set of one task, labelled 0: a stream of text has no others."""
    labels = TaskLabels(ConstantSequence(0, len(x)))
    dataset = AvalancheDataset([TensorDataset(x, y)], data_attributes=[labels])
    dataset.targets = Targets(y)
    dataset.task_set = {0: dataset}
    return dataset


def tensors_of(dataset: Any) -> tuple[Tensor, Tensor]:
    """The rows of a data set, or of part of one, and what they predict."""
    every = [dataset[i] for i in range(len(dataset))]
    return torch.stack([one[0] for one in every]), torch.stack([one[1] for one in every])
