"""Where a roll back goes, and what it leaves alone."""

import shutil
from collections import Counter
from pathlib import Path

import msgspec

from learner.entries import Decided
from learner.gate.roll_back import roll_back
from learner.publish import hash_of_published
from riverrun.settings import GateSettings
from riverrun.tokenizer import Tokenizer
from riverrun.trace import line_of
from tests.learner import fakes
from tests.learner.gate.river import River, documents, sentences
from tests.learner.test_poison import spoil

RECIPE = msgspec.structs.replace(fakes.RECIPE, max_passes=1)


def test_serving_goes_back_to_the_best_or_stays_where_that_has_no_weights(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    texts = documents(sentences(20, seed=5), "a")
    with River(tmp_path, tokenizer, RECIPE) as river:
        river.learn(texts)
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
        assert again.num_documents == len(texts)


def test_a_roll_back_begins_from_the_bits_before_the_first_text_of_a_source_that_has_just_come(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """Averaged weights show harm later than it is done: the best version may have some of it."""
    rule = "when non_finite > 0 then hold, quarantine, roll_back"
    gate = GateSettings(judging_share=1.0, rules=(rule,))
    bad = documents(["Z is the last letter."], "late")
    with River(tmp_path, tokenizer, RECIPE, gate, wrap=spoil) as river:
        river.learn(documents(sentences(60, seed=1), "clean"))
        before = river.promoted()[-1]
        river.learn(documents(sentences(6, seed=2), "late"))
        best = river.promoted()[-1]
        assert river.state.gate.facts.best == best.version != before.version
        # All of it is learned again then, and not from a checkpoint that has some of it.
        for checkpoint in (tmp_path / "checkpoints").iterdir():
            shutil.rmtree(checkpoint)
        river.learn(bad)
        assert river.num_roll_backs == 1
        assert hash_of_published(river.state, RECIPE) == before.sha256
        river.learn(bad)
        river.learn(documents(sentences(6, seed=3), "clean"))
        last = river.promoted()[-1]
        assert last.replaces == best.run
        learned: Counter[str] = Counter()
        for manifest in line_of(river.store, last.version, whole=True):
            for span in manifest.learned:
                here = [a for a in river.texts if span.raw_first <= a.raw_offset <= span.raw_last]
                learned.update(a.document.source for a in here)
        assert learned == {"clean": 66}
        assert river.state.quarantine.sources()["late"].num_documents == 1
        assert river.state.progress.num_documents == 66
