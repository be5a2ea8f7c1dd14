"""A run goes on only as what it began as."""

from pathlib import Path

import msgspec
import pytest

from learner.identity import FORMAT, settle
from riverrun.errors import CheckpointError
from tests.learner import fakes
from tests.learner.fakes import RECIPE

IDENTITY = fakes.identity()


def test_the_first_start_settles_the_identity(tmp_path: Path) -> None:
    assert settle(tmp_path, IDENTITY) == IDENTITY
    again = msgspec.structs.replace(IDENTITY, run="ffff")
    assert settle(tmp_path, again).run == IDENTITY.run


def test_other_settings_are_refused_with_both_values(tmp_path: Path) -> None:
    settle(tmp_path, IDENTITY)
    recipe = msgspec.structs.replace(RECIPE, lr=0.25)
    asked = msgspec.structs.replace(IDENTITY, recipe=recipe, model="other", seed=9)
    with pytest.raises(CheckpointError) as refused:
        settle(tmp_path, asked)
    message = str(refused.value)
    assert "model is 'small' there, 'other' was asked for" in message
    assert "learner.seed is 7 there, 9 was asked for" in message
    assert f"learner.lr is {RECIPE.lr} there, 0.25 was asked for" in message
    assert "--data-dir" in message


def test_another_format_is_refused(tmp_path: Path) -> None:
    settle(tmp_path, msgspec.structs.replace(IDENTITY, format=FORMAT + 1))
    with pytest.raises(CheckpointError, match=f"format {FORMAT + 1}"):
        settle(tmp_path, IDENTITY)
