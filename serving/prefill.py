"""How many prompt tokens one pass runs, where the operator does not say.

Where products take the time, a pass of twice as many tokens takes twice as long: it delays the next
token of all who are being answered, and the first tokens of the prompts in it, and gives nothing
for that. Where the calls take the time, wide passes share them.

Called by `serving/live_model.py`.
"""

from riverrun.model.config import ModelConfig
from serving.precision import SMALL_MODEL

OF_SMALL, OF_LARGE = 128, 64


def prefill_tokens(config: ModelConfig, setting: int | None) -> int:
    """`serving.prefill_tokens`, or the usual number for a model of this size."""
    if setting is not None:
        return setting
    return OF_SMALL if config.num_parameters() < SMALL_MODEL else OF_LARGE
