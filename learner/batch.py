"""What one forward pass computes: packed examples, what each has to predict, what it weighs.

Two kinds of example lie in the same rows. A text predicts its own next tokens. An anchor is a text
of the origin memory; at its positions the model is compared with what the origin said there.
Weights are those of the whole step, so the losses of its chunks simply add up.

Knows nothing of where examples come from. Built by `step.py`, read by the strategies.

B rows, T columns, N predicted tokens, M anchored positions, K kept log-probabilities.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learner.framing import Example
from learner.packing import Packed, Places, evenly


class Text(NamedTuple):
    """An example that predicts its own tokens. `owner` is what its losses are added up under.

    slot: of the replay memory, if it comes from there.
    """

    example: Example
    weight: float
    owner: int
    slot: int | None = None


class Anchor(NamedTuple):
    """An example at whose targets the origin's most likely tokens are known."""

    example: Example
    weight: float
    top_ids_MK: Tensor
    top_logprobs_MK: Tensor


@dataclass(frozen=True)
class Batch:
    """One chunk of a step. `sources` index the rows laid end to end.

    texts: whose targets the N are, one after the other. replayed_N: whether from the memory.
    """

    texts: Sequence[Text]
    packed: Packed
    sources_N: Tensor
    targets_N: Tensor
    weights_N: Tensor
    owners_N: Tensor
    replayed_N: Tensor
    anchor_sources_M: Tensor
    anchor_weights_M: Tensor
    top_ids_MK: Tensor
    top_logprobs_MK: Tensor


def chunks(
    texts: Sequence[Text], anchors: Sequence[Anchor], chunk_tokens: int
) -> Iterator[tuple[list[Text], list[Anchor]]]:
    """Texts and anchors in groups of about `chunk_tokens`, in order, none empty."""
    group: tuple[list[Text], list[Anchor]] = ([], [])
    filled = 0
    every: list[Text | Anchor] = [*texts, *anchors]
    for one in every:
        length = len(one.example.tokens)
        if filled and filled + length > chunk_tokens:
            yield group
            group, filled = ([], []), 0
        if isinstance(one, Text):
            group[0].append(one)
        else:
            group[1].append(one)
        filled += length
    if filled:
        yield group


class Share(NamedTuple):
    """What of a chunk one worker takes. places: of its texts, in the chunk."""

    places: list[int]
    texts: list[Text]
    anchors: list[Anchor]


def shares(texts: Sequence[Text], anchors: Sequence[Anchor], num: int) -> list[Share]:
    """A chunk in at most `num` shares of about as many tokens, each in the chunk's order; none is
    empty."""
    every: list[Text | Anchor] = [*texts, *anchors]
    lengths = [len(one.example.tokens) for one in every]
    found = []
    for its in map(sorted, evenly(lengths, min(num, len(every)))):
        places = [i for i in its if i < len(texts)]
        held = [anchors[i - len(texts)] for i in its if i >= len(texts)]
        found.append(Share(places, [texts[i] for i in places], held))
    return found


def build(
    prefix: Sequence[int],
    texts: Sequence[Text],
    anchors: Sequence[Anchor],
    row_tokens: int,
    device: torch.device,
) -> Batch:
    examples = [text.example for text in texts] + [anchor.example for anchor in anchors]
    packed = Packed(prefix, examples, row_tokens, device)

    # By arrays, not token by token: in Python that would be a twentieth of `tiny`'s step.
    counts_x = np.array([text.example.num_targets for text in texts], np.int64)
    anchored_x = np.array([anchor.example.num_targets for anchor in anchors], np.int64)

    def each(values: Iterable[float], dtype: npt.DTypeLike, counts: Places) -> Tensor:
        """A value of each example at each of its targets."""
        return torch.from_numpy(np.repeat(np.array(list(values), dtype), counts)).to(device)

    def joined(arrays: Sequence[npt.ArrayLike]) -> Tensor:
        found = [np.asarray(array, np.int64) for array in arrays]
        return torch.from_numpy(np.concatenate(found or [np.zeros(0, np.int64)])).to(device)

    sources = [packed.sources(i, example) for i, example in enumerate(examples)]
    num_kept = anchors[0].top_ids_MK.shape[1] if anchors else 0
    return Batch(
        texts=texts,
        packed=packed,
        sources_N=joined(sources[: len(texts)]),
        targets_N=joined([x.example.tokens[x.example.first_target :] for x in texts]),
        weights_N=each((x.weight for x in texts), np.float32, counts_x),
        owners_N=each((x.owner for x in texts), np.int64, counts_x),
        replayed_N=each((x.slot is not None for x in texts), np.bool_, counts_x),
        anchor_sources_M=joined(sources[len(texts) :]),
        anchor_weights_M=each((a.weight for a in anchors), np.float32, anchored_x),
        top_ids_MK=torch.cat([a.top_ids_MK for a in anchors]).long().to(device)
        if anchors
        else torch.zeros(0, num_kept, dtype=torch.long, device=device),
        top_logprobs_MK=torch.cat([a.top_logprobs_MK for a in anchors]).float().to(device)
        if anchors
        else torch.zeros(0, num_kept, device=device),
    )
