"""How wide passes over prompts are, by the model's size and by the operator."""

import msgspec

from serving.prefill import prefill_tokens
from tests.serving.published import CONFIG

LARGE = msgspec.structs.replace(CONFIG, vocab_size=1_000_000)


def test_a_large_models_passes_are_narrower() -> None:
    assert prefill_tokens(LARGE, None) < prefill_tokens(CONFIG, None)


def test_the_operators_number_counts() -> None:
    assert prefill_tokens(LARGE, 7) == prefill_tokens(CONFIG, 7) == 7
