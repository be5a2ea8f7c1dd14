"""Whether a prompt is answered by the learned weights or by those that they began with.

A pretrained model that learns from a stream gets worse at what the stream does not speak of; no
training that we measured keeps all of it (docs/experiments.md). But the stream leaves a trace in
the likelihoods: prompts on what was learned become much likelier, others do not. So a version of a
pretrained model keeps its origin beside it and defers to it: the learned weights answer only a
prompt that they find likelier than the origin does, by a margin.

That is the likelihood-ratio test between the two models (Neyman and Pearson, 1933), `margin` being
the log of the odds, before the prompt is seen, that it is on something else. Kin: WISE (Wang et
al., 2024, arXiv:2405.14768) and GRACE (Hartvigsen et al., 2023, arXiv:2211.11031) keep edits beside
the model and route by activations; here whole models are compared, and nothing is trained for it.

The learner judges what it publishes by the same rule that serving answers by. Called by
`learner/probes/`, `serving/deferral.py` and `bench facts`.
"""


def defers(learned_nats: float, origin_nats: float, margin: float) -> bool:
    """Whether the origin answers.

    learned_nats, origin_nats: of the prompt's own tokens, after what all prompts have in common.
    A prompt without any is no evidence, and the origin's.
    """
    return not origin_nats - learned_nats >= margin
