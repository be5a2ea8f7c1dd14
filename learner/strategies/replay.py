"""New text beside old: replayed text of the stream, and the model's own past as an anchor.

Replay keeps what the stream taught. What a pretrained model knew before has no text to replay; it
is held by the KL to the frozen origin on texts that the origin wrote itself.

Source: Rolnick et al., Experience Replay for Continual Learning, 2019 (the share is of examples,
not of tasks); Li and Hoiem, Learning without Forgetting, 2017, for the anchor (on its own text
instead of the new one, against stored top-K instead of a second forward pass).

N predicted tokens, M anchored positions, V vocabulary.
"""

from learner.batch import Batch
from learner.losses import divergences, logits_at, prediction_losses
from learner.strategies.protocol import Losses, Strategy
from riverrun.model.decoder import Decoder


class Replay(Strategy):
    uses_memory = True
    uses_origin = True

    def losses(self, model: Decoder, batch: Batch) -> Losses:
        logits_NV, logits_MV = logits_at(model, batch, anchored=True)
        losses_N = prediction_losses(logits_NV, batch.targets_N)
        total = (losses_N * batch.weights_N).sum()
        if len(batch.anchor_sources_M) == 0:
            return Losses(total, losses_N.detach())
        kl_M = divergences(logits_MV, batch.top_ids_MK, batch.top_logprobs_MK)
        total = total + (kl_M * batch.anchor_weights_M).sum()
        return Losses(total, losses_N.detach(), kl_M.detach())
