"""Only the text that is at hand: the floor that every other strategy has to beat.

N predicted tokens, V vocabulary.
"""

from learner.batch import Batch
from learner.losses import logits_at, prediction_losses
from learner.strategies.protocol import Losses, Strategy
from riverrun.model.decoder import Decoder


class Finetune(Strategy):
    def losses(self, model: Decoder, batch: Batch) -> Losses:
        logits_NV, _ = logits_at(model, batch, anchored=False)
        losses_N = prediction_losses(logits_NV, batch.targets_N)
        return Losses((losses_N * batch.weights_N).sum(), losses_N.detach())
