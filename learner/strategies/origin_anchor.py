"""Stay close to what the model was before its first step, on texts that it wrote itself.

What a pretrained model knew before has no text to replay. So the KL from the frozen origin to the
model is kept small where the origin's opinion was stored (`learner/origin.py`).

Source: Li and Hoiem, Learning without Forgetting, 2017 (arXiv:1606.09282); on text of its own
instead of the new one, and against stored top-K instead of a second forward pass.

M anchored positions.
"""

from learner.batch import Batch
from learner.losses import divergences
from learner.strategies.term import Added, Said, Term


class OriginAnchor(Term):
    uses_origin = True
    is_pure = True

    def loss(self, batch: Batch, said: Said) -> Added | None:
        if len(batch.anchor_sources_M) == 0:
            return None
        kl_M = divergences(said.logits_MV, batch.top_ids_MK, batch.top_logprobs_MK)
        return Added((kl_M * batch.anchor_weights_M).sum(), kl_M.detach())
