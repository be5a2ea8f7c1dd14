"""The origin memory: what the model said before its first step, to be held to.

A pretrained model brings knowledge and no memory of the text that it came from. So a few texts are
kept with what the frozen model thought of each next token: its K most likely ones and their
log-probabilities. Staying close to them needs no second model and no second forward pass.

Filled once, never changed after; the checkpoint only names its hash. Knows nothing of where the
texts come from (`origin_texts.py`). Sampled by `step.py`.

M anchored positions of one text, P of all texts, K kept log-probabilities.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from learner.batch import Anchor, Text, build, chunks
from learner.framing import Example
from learner.losses import logits_at
from learner.recipe import Recipe
from learner.seeds import Random, distinct
from learner.tensor_file import read_tensors, write_tensors
from riverrun.errors import CheckpointError
from riverrun.model.decoder import Decoder
from riverrun.workspace import replace_file

log = logging.getLogger(__name__)

EXAMPLES, TENSORS = "origin.json", "origin.safetensors"


class Described(msgspec.Struct):
    """The file beside the tensors."""

    sha256: str
    examples: list[Example]


class Origin:
    """Texts with what the origin said at their targets. Empty for a model that starts anew."""

    def __init__(
        self, examples: Sequence[Example], top_ids_PK: Tensor, top_logprobs_PK: Tensor
    ) -> None:
        self.examples = list(examples)
        sizes = [example.num_targets for example in self.examples]
        self._ids = torch.split(top_ids_PK, sizes) if sizes else ()
        self._logprobs = torch.split(top_logprobs_PK, sizes) if sizes else ()

    @classmethod
    def empty(cls) -> "Origin":
        return cls([], torch.zeros(0, 1), torch.zeros(0, 1))

    def __len__(self) -> int:
        return len(self.examples)

    def sample(self, num_texts: int, weight: float, random: Random) -> list[Anchor]:
        """Different texts; their weights make `weight` times the mean over their positions."""
        chosen = distinct(random, len(self.examples), num_texts)
        num_positions = sum(self.examples[i].num_targets for i in chosen)
        return [
            Anchor(
                self.examples[i],
                weight / num_positions,
                top_ids_MK=self._ids[i],
                top_logprobs_MK=self._logprobs[i],
            )
            for i in chosen
        ]

    def save(self, directory: Path) -> None:
        """Write both files into the existing `directory`; it is there when the second one is."""
        ids, logprobs = (
            torch.cat(kept) if kept else torch.zeros(0, 1) for kept in (self._ids, self._logprobs)
        )
        tensors = {"ids": ids, "logprobs": logprobs}
        digest = write_tensors(directory / TENSORS, tensors)
        described = msgspec.json.encode(Described(digest, self.examples))
        replace_file(directory / EXAMPLES, described)

    @classmethod
    def load(cls, directory: Path) -> "Origin | None":
        """What `save` wrote; None when nothing, or not all of it, was written.

        Raises CheckpointError when it is damaged.
        """
        path = directory / EXAMPLES
        if not path.exists():
            return None
        try:
            described = msgspec.json.decode(path.read_bytes(), type=Described)
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error
        tensors = read_tensors(directory / TENSORS, described.sha256)
        return cls(described.examples, tensors["ids"], tensors["logprobs"])


@torch.no_grad()
def remember(
    model: Decoder,
    prefix: Sequence[int],
    examples: Sequence[Example],
    recipe: Recipe,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Origin | None:
    """Ask the untouched model what it thinks of `examples`; None when stopped before the end."""
    if not examples:
        log.warning(
            "the model writes no text worth keeping, as one that has hardly learned: there is no "
            "origin memory, and nothing holds it to what it knows. learner.origin_file names text"
        )
        return Origin.empty()
    texts = [Text(example, 1.0, 0) for example in examples]
    device = model.output_matrix.device
    ids: list[Tensor] = []
    logprobs: list[Tensor] = []
    for group, _ in chunks(texts, [], recipe.chunk_tokens):
        if is_stopping():
            return None
        batch = build(prefix, group, [], recipe.row_tokens, device)
        logits_MV, _ = logits_at(model, batch, anchored=False)
        top_MK = logits_MV.log_softmax(1).topk(min(recipe.origin_top_k, logits_MV.shape[1]), dim=1)
        ids.append(top_MK.indices.int().cpu())
        logprobs.append(top_MK.values.cpu())
    return Origin(examples, torch.cat(ids), torch.cat(logprobs))
