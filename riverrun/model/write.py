"""The model writes: sampled continuations of a batch of prompts.

For whoever wants whole texts and no stream; serving has its own engine. Knows nothing of
characters. Called by the learner, for the origin's texts and for study questions.

B batch, T new tokens, V vocabulary.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from riverrun.beginnings import num_shared
from riverrun.errors import InvalidValue
from riverrun.model.branches import Branches
from riverrun.model.cache import ContiguousCache
from riverrun.model.decoder import Decoder

LEAST_SHARED = 32
"""Tokens of a common beginning that are run once for all prompts, not once for each."""


Allowed = Callable[[int, Sequence[int]], Tensor]
"""By a text's number and what is written of it: which token may come next, (V,) bool."""


class Written(NamedTuple):
    """A text's tokens, and by how many nats each surprised the model that wrote it.

    Where the model may not choose freely, `nats` tell how far it was led from what it wanted; the
    tokens of an opening count too.
    """

    tokens: list[int]
    nats: list[float]


def write(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    openings: Sequence[Sequence[int]] = ((),),
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    stop_ids: Collection[int] = (),
    num_stops: int = 1,
) -> list[list[int]]:
    """As `write_within`, freely, and without what it cost."""
    written = write_within(
        model,
        prompts,
        None,
        max_tokens=max_tokens,
        openings=[openings] * len(prompts),
        temperature=temperature,
        top_p=top_p,
        generator=generator,
        stop_ids=stop_ids,
        num_stops=num_stops,
    )
    return [one.tokens for one in written]


@torch.inference_mode()
def write_within(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    allowed: Allowed | None,
    *,
    max_tokens: int,
    openings: Sequence[Sequence[Sequence[int]]] | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    stop_ids: Collection[int] = (),
    num_stops: int = 1,
) -> list[Written]:
    """For each prompt what follows it, without the prompt, up to the stop token that is number
    `num_stops`.

    openings: for each prompt what its texts begin with, as many for each. Each prompt is continued
    once from each of its own (which is part of what is written): P prompts with O openings give
    P x O texts, prompt by prompt, for the price of P prompts. `allowed` is asked for each token
    that is not an opening's.

    `temperature` 0 is greedy. The same generator state gives the same texts; a row's text
    depends on its fellows' count, as all rows draw from one generator.

    Raises:
        InvalidValue: an empty prompt, more tokens than the model has positions, or prompts with
            more openings than others.
    """
    openings = [[()]] * len(prompts) if openings is None else openings
    _check(model, prompts, openings, max_tokens, temperature, top_p)
    opening_of = [opening for its in openings for opening in its]
    if not opening_of:
        return []
    num_openings = len(openings[0])
    device = model.output_matrix.device
    longest = max(len(prompt) for prompt in prompts)
    padding = [longest - len(prompt) for prompt in prompts]
    padding_B = torch.tensor(padding, device=device) if any(padding) else None
    num_common = _num_common(prompts)
    has_branches = num_openings > 1
    whole = ContiguousCache(
        model.config,
        num_rows=1 if num_common else len(prompts),
        capacity=longest if has_branches else longest + max_tokens,
        padding_B=None if num_common else padding_B,
        dtype=model.output_matrix.dtype,
        device=device,
    )
    if num_common:
        _next_logits(model, torch.tensor([prompts[0][:num_common]], device=device), whole)
        whole.fan_out(len(prompts), padding_B)
    rests = [prompt[num_common:] for prompt in prompts]
    rows = [[rest[0]] * pad + list(rest) for rest, pad in zip(rests, padding, strict=True)]
    tokens_BT = torch.tensor(rows, device=device)
    written = [Written([], []) for _ in opening_of]
    stops_left = [num_stops] * len(written)
    owners = list(range(len(written)))
    logits_BV = _next_logits(model, tokens_BT, whole)
    cache: ContiguousCache | Branches = whole
    if has_branches:
        cache = Branches(whole, num_openings, max_tokens)
        logits_BV = logits_BV.repeat_interleave(num_openings, 0)
    for i in range(max_tokens):
        free_BV = logits_BV
        if allowed is not None:
            free_BV = logits_BV.clone()
            for row, owner in enumerate(owners):
                if stops_left[owner] and i >= len(opening_of[owner]):
                    may_V = allowed(owner, written[owner].tokens)
                    logits_BV[row].masked_fill_(~may_V, float("-inf"))
        chosen = sample(logits_BV, temperature, top_p, generator).tolist()
        for row, owner in enumerate(owners):
            opening = opening_of[owner]
            if i < len(opening):
                chosen[row] = opening[i]
        nats = _nats(free_BV, chosen) if allowed is not None else [0.0] * len(chosen)
        for row, owner in enumerate(owners):
            stops_left[owner] -= stops_left[owner] > 0 and chosen[row] in stop_ids
            if stops_left[owner]:
                written[owner].tokens.append(chosen[row])
                written[owner].nats.append(nats[row])
        going = [row for row, owner in enumerate(owners) if stops_left[owner]]
        if not going or i + 1 == max_tokens:
            break
        # Rows that have ended cost as much as others; letting them go costs a copy of the cache,
        # which is small where rows branch off.
        if len(going) <= len(owners) * (0.75 if has_branches else 0.5):
            cache.take(torch.tensor(going, device=device))
            owners = [owners[row] for row in going]
            chosen = [chosen[row] for row in going]
        logits_BV = _next_logits(model, torch.tensor(chosen, device=device)[:, None], cache)
    return written


def _num_common(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens with which all of several prompts begin, if they are worth a pass of their own."""
    # Of each something is left to run: its last token's logits are what is written from.
    first, most = list(prompts[0]), min(len(prompt) for prompt in prompts) - 1
    num = min(num_shared(first, list(prompt), most) for prompt in prompts)
    return num if len(prompts) > 1 and num >= LEAST_SHARED else 0


def _next_logits(model: Decoder, tokens_BT: Tensor, cache: ContiguousCache | Branches) -> Tensor:
    positions_BT = cache.positions_BT(tokens_BT.shape[1])
    hidden_BTD = model.hidden(tokens_BT, positions_BT=positions_BT, cache=cache)
    return model.logits(hidden_BTD[:, -1]).float()


def _nats(logits_BV: Tensor, chosen: Sequence[int]) -> list[float]:
    chosen_B = torch.tensor(chosen, device=logits_BV.device)
    nats: list[float] = F.cross_entropy(logits_BV, chosen_B, reduction="none").tolist()
    return nats


def sample(
    logits_BV: Tensor, temperature: float, top_p: float, generator: torch.Generator | None
) -> Tensor:
    """One token a row, (B,), from the smallest set of tokens whose probability reaches `top_p`.

    Source: Holtzman et al., The Curious Case of Neural Text Degeneration, 2019.
    """
    if temperature == 0:
        return logits_BV.argmax(dim=-1)
    probabilities_BV = (logits_BV / temperature).softmax(dim=-1)
    if top_p < 1:
        sorted_BV, order_BV = probabilities_BV.sort(dim=-1, descending=True, stable=True)
        before_BV = sorted_BV.cumsum(dim=-1) - sorted_BV
        sorted_BV = sorted_BV.masked_fill(before_BV >= top_p, 0.0)
        chosen_B1 = torch.multinomial(sorted_BV, 1, generator=generator)
        return order_BV.gather(1, chosen_B1)[:, 0]
    return torch.multinomial(probabilities_BV, 1, generator=generator)[:, 0]


def _check(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    openings: Sequence[Sequence[Sequence[int]]],
    max_tokens: int,
    temperature: float,
    top_p: float,
) -> None:
    if any(not prompt for prompt in prompts):
        raise InvalidValue("prompts", [], "at least one token in each prompt")
    numbers = [len(its) for its in openings]
    if len(numbers) != len(prompts) or len(set(numbers)) > 1:
        raise InvalidValue("openings", numbers, f"as many for each of {len(prompts)} prompts")
    room = model.config.max_positions - max((len(prompt) for prompt in prompts), default=0)
    if not 1 <= max_tokens <= room:
        raise InvalidValue("max_tokens", max_tokens, f"1 to {room} beside the longest prompt")
    if not temperature >= 0:
        raise InvalidValue("temperature", temperature, "0 (greedy) or more")
    if not 0 < top_p <= 1:
        raise InvalidValue("top_p", top_p, "more than 0, at most 1")
