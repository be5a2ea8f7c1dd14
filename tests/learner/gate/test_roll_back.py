"""Where a roll back goes."""

from pathlib import Path

import msgspec

from learner.entries import Decided
from learner.gate.roll_back import roll_back
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences

RECIPE = msgspec.structs.replace(fakes.RECIPE, max_passes=1)
TEXTS = documents(sentences(20, seed=5), "a")


def test_serving_goes_back_to_the_best_or_stays_where_that_has_no_weights(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with River(tmp_path, tokenizer, RECIPE) as river:
        river.learn(TEXTS)
        first, promoted = river.store.versions()[0], river.store.promoted()
        assert promoted != first
        facts = river.state.gate.facts
        facts.best, facts.best_step = first, 0
        decided = Decided(river.state.progress.step, [], blamed={"a": "drift"})
        arguments = (river.state, river.store, river.identity, decided, tmp_path)
        found = roll_back(*arguments)
        assert (found.to, found.intent.first_step) == (first, 1)
        # Undoing may make a version the best whose weights were dropped long ago.
        (tmp_path / "store" / "versions" / first / "weights.safetensors").unlink()
        again = roll_back(*arguments)
        assert (again.to, again.intent.first_step) == (promoted, 1)
        assert again.intent.left_out == found.intent.left_out
        assert again.num_documents == len(TEXTS)
