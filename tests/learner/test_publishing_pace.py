"""How often there are versions: at once with nothing waiting, a share of the time in a flood."""

from pathlib import Path

import msgspec
import torch

from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.gate.river import RHYTHM, River, documents, sentences

RECIPE = msgspec.structs.replace(fakes.RECIPE, max_passes=1, max_step_tokens=200)
FLOOD = documents(sentences(60, seed=1), "flood")


def learned_with(directory: Path, tokenizer: Tokenizer, publishing_share: float) -> River:
    torch.set_num_threads(1)
    rhythm = msgspec.structs.replace(RHYTHM, publishing_share=publishing_share)
    return River(directory, tokenizer, RECIPE, rhythm=rhythm)


def test_in_a_flood_versions_are_rare_and_the_last_step_has_one(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with learned_with(tmp_path, tokenizer, 1e-6) as river:
        river.learn(FLOOD)
        steps = [manifest.step for manifest in river.versions]
        assert river.state.progress.step > 10
        assert steps == [0, 1, river.state.progress.step]


def test_a_share_of_all_the_time_gives_each_step_its_version(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with learned_with(tmp_path, tokenizer, 1.0) as river:
        river.learn(FLOOD)
        assert [m.step for m in river.versions] == list(range(river.state.progress.step + 1))


def test_text_that_comes_alone_is_not_kept_waiting_by_what_the_flood_may_cost(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with learned_with(tmp_path, tokenizer, 1e-6) as river:
        for document in FLOOD[:5]:
            river.learn([document])
            assert river.versions[-1].step == river.state.progress.step
