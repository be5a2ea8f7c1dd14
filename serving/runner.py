"""One pass of one version over a batch: tokens in, what each sequence wants of them out.

Only what is asked for is projected to the vocabulary: the last token of a sequence that is to go
on, and the scored tokens of a `score`. Knows nothing of who waits or of text. Called by
`serving/engine.py`, on its thread.

N tokens of the pass, D hidden width, V vocabulary, S scored tokens, W sequences that want a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from serving.cache import SlottedCache
from serving.decode_graphs import DecodeGraphs
from serving.loops.ready import loop_passes
from serving.sampling import likeliest, penalize, sample
from serving.scheduler import Batch, Copy
from serving.sequence import Sequence, TokenLogprob, TokenScore


@dataclass(slots=True)
class Outcome:
    """What one pass gave one sequence. `token` is None unless its last token was run."""

    is_finite: bool = True
    token: int | None = None
    logprob: TokenLogprob | None = None
    embedding: tuple[float, ...] | None = None


class Runner:
    """Runs batches against one cache."""

    def __init__(self, cache: SlottedCache) -> None:
        self.cache = cache
        self._graphs = DecodeGraphs(cache) if cache.device.type == "cuda" else None
        self.loops = loop_passes(cache)

    @torch.inference_mode()
    def copy(self, copies: list[Copy]) -> None:
        for copy in copies:
            self.cache.copy(copy.source, copy.target, copy.num_tokens)

    @torch.inference_mode()
    def run(self, batch: Batch) -> list[Outcome]:
        """One outcome a sequence; scores are added to their sequence."""
        model = batch.slot.model
        tokens: list[int] = []
        for sequence, count in zip(batch.sequences, batch.counts, strict=True):
            tokens += sequence.tokens[sequence.num_cached : sequence.num_cached + count]
        rows = [sequence.row for sequence in batch.sequences if sequence.row is not None]
        starts = [sequence.num_cached for sequence in batch.sequences]
        outcomes = [Outcome() for _ in batch.sequences]
        if self._graphs is not None and is_decoding(batch):
            logits_WV = self._graphs.logits(model, rows, tokens, starts)
            self._choose(logits_WV, list(zip(batch.sequences, outcomes, strict=True)))
            self._clear(batch, outcomes)
            return outcomes
        is_exact = model.precision != "float32"
        if self.loops is not None and (is_exact or max(batch.counts) == 1):
            hidden_ND = self.loops.hidden(model, tokens, rows, starts, batch.counts)
        else:
            window = self.cache.window(rows, starts, batch.counts, is_exact=is_exact)
            hidden_ND = model.hidden(torch.tensor(tokens, device=self.cache.device), window)
        wants: list[tuple[Sequence, Outcome]] = []
        lasts: list[int] = []
        first = 0
        for sequence, count, outcome in zip(batch.sequences, batch.counts, outcomes, strict=True):
            is_through = sequence.num_uncached == count
            if sequence.task == "embed":
                _pool(sequence, hidden_ND[first : first + count], outcome, is_through=is_through)
            elif sequence.task == "score":
                skipped = max(0, sequence.first_target - 1 - sequence.num_cached)
                if skipped < count:
                    scored_SD = hidden_ND[first + skipped : first + count]
                    _score(sequence, model.logits(scored_SD), skipped, outcome)
            elif is_through:
                wants.append((sequence, outcome))
                lasts.append(first + count - 1)
            first += count
        if wants:
            if len(lasts) < len(tokens):
                hidden_ND = hidden_ND[torch.tensor(lasts, device=self.cache.device)]
            self._choose(model.logits(hidden_ND), wants)
        self._clear(batch, outcomes)
        return outcomes

    def _choose(self, logits_WV: Tensor, wants: list[tuple[Sequence, Outcome]]) -> None:
        """Greedy for all in one go; then those that want more, one by one."""
        choose = likeliest if self.loops is None else self.loops.likeliest
        tokens, finite = choose(logits_WV)
        for i, (sequence, outcome) in enumerate(wants):
            if not finite[i]:
                outcome.is_finite = False
                continue
            outcome.token = tokens[i]
            sampling = sequence.sampling
            if sampling.repetition_penalty is not None or not sampling.is_greedy:
                outcome.token = _sampled(logits_WV[i], sequence)
            if sequence.num_logprobs is not None:
                outcome.logprob = _logprob(logits_WV[i], outcome.token, sequence.num_logprobs)

    def _clear(self, batch: Batch, outcomes: list[Outcome]) -> None:
        for sequence, outcome in zip(batch.sequences, outcomes, strict=True):
            if not outcome.is_finite:
                assert sequence.row is not None
                self.cache.clear(sequence.row)


def is_decoding(batch: Batch) -> bool:
    """Whether each sequence has one token left to run and wants the next one."""
    return all(
        count == 1 and sequence.num_uncached == 1 and sequence.task == "generate"
        for sequence, count in zip(batch.sequences, batch.counts, strict=True)
    )


def _sampled(logits_V: Tensor, sequence: Sequence) -> int:
    """The token of one who wants more than the likeliest."""
    sampling = sequence.sampling
    if sampling.repetition_penalty is not None:
        logits_V = penalize(logits_V, sequence.tokens, sampling.repetition_penalty)
    if sampling.is_greedy:
        return int(logits_V.argmax())
    return sample(logits_V, sampling, sequence.random.random())


def _logprob(logits_V: Tensor, token: int, num_top: int) -> TokenLogprob:
    logprobs_V = logits_V.log_softmax(-1)
    top: tuple[tuple[int, float], ...] = ()
    if num_top:
        values, tokens = logprobs_V.topk(min(num_top, len(logprobs_V)))
        top = tuple(zip(tokens.tolist(), values.tolist(), strict=True))
    return TokenLogprob(token, float(logprobs_V[token]), top)


def _score(sequence: Sequence, logits_SV: Tensor, skipped: int, outcome: Outcome) -> None:
    """Add the scores of the tokens that follow those of this piece, but its `skipped` first."""
    first = sequence.num_cached + skipped + 1
    targets = sequence.tokens[first : first + len(logits_SV)]
    targets_S1 = torch.tensor(targets, device=logits_SV.device)[:, None]
    logprobs_S = logits_SV.gather(-1, targets_S1)[:, 0] - logits_SV.logsumexp(-1)
    outcome.is_finite = bool(logprobs_S.isfinite().all())
    likeliest = logits_SV.argmax(-1).tolist()
    for target, logprob, best in zip(targets, logprobs_S.tolist(), likeliest, strict=True):
        sequence.scores.append(TokenScore(target, logprob, target == best))


def _pool(sequence: Sequence, hidden_TD: Tensor, outcome: Outcome, *, is_through: bool) -> None:
    """Add to the sum of hidden states; with the last token, give their direction."""
    sum_D = hidden_TD.sum(0)
    sequence.pooled = sum_D if sequence.pooled is None else sequence.pooled.add_(sum_D)
    if is_through:
        outcome.is_finite = bool(sequence.pooled.isfinite().all())
        outcome.embedding = tuple(F.normalize(sequence.pooled, dim=0).tolist())
