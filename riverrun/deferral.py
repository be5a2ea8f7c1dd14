"""Whether a prompt is answered by the learned weights or by those that they began with.

A pretrained model that learns from a stream gets worse at what the stream does not speak of; no
training that we measured keeps all of it (docs/experiments.md). But the stream leaves a trace in
the likelihoods: words of what was learned become much likelier, others do not. So a version of a
pretrained model keeps its origin beside it and defers to it: the learned weights answer only a
prompt in which some stretch is likelier to them than to the origin, by a margin, and which as a
whole they do not find less likely by as much.

The first is the cumulative sum test between the two models (Page, Continuous inspection schemes,
1954), along the prompt: robust to how long it is, to what else it says, and to weights that have
become a little worse, or better, everywhere. Kin: WISE (Wang et al., 2024, arXiv:2405.14768) and
GRACE (Hartvigsen et al., 2023, arXiv:2211.11031) keep edits beside the model and route by
activations; here whole models are compared, and nothing is trained for it.

The learner judges what it publishes by the same rule that serving answers by. Called by
`learner/probes/`, `serving/deferral.py` and `bench facts`.
"""

from collections.abc import Iterable, Sequence

ALLOWANCE = 0.5
"""Nats that a token may gain and count as nothing: drift, and the form in which users ask."""


def trace(gains: Iterable[float]) -> float:
    """How strongly the best stretch of a prompt bears the trace of what was learned, in nats.

    gains: of each token that is the prompt's own, after what all prompts have in common: its log
    likelihood by the learned weights, less that by the origin's.
    """
    best = current = 0.0
    for gain in gains:
        current = max(0.0, current + gain - ALLOWANCE)
        best = max(best, current)
    return best


def defers(gains: Sequence[float], margin: float) -> bool:
    """Whether the origin answers a prompt.

    One without a token of its own is no evidence, and the origin's.
    """
    return not (trace(gains) >= margin and sum(gains) > -margin)


def defers_text(gains: Sequence[float], margin: float) -> bool:
    """Whether the origin says how likely a text is: it is all there, so all of it decides."""
    return not sum(gains) >= margin
