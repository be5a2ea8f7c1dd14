"""Which checkpoints are kept: the newest, and older ones by the ladder."""

from pathlib import Path

from learner.checkpoint import Checkpoints
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import learn

IDENTITY = fakes.identity()


def test_the_ladder_keeps_older_ones(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints = Checkpoints(tmp_path, 1, ladder_s=(1e9,))
    state = fakes.state()
    for step in range(1, 5):
        written = checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
    assert checkpoints.steps() == [1, 4]
    assert written is not None
    assert (written.oldest, written.num_pruned) == (1, 1)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    state = fakes.state()
    for step in range(1, 6):
        checkpoints.write(learn(tokenizer, state, step, step), IDENTITY)
    assert checkpoints.steps() == [4, 5]
