"""A run goes on only as what it began as."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from learner.checkpoint import Checkpoints
from learner.checkpoint_file import HEAD, Sealed
from learner.guard import unguarded
from learner.identity import FORMAT, settle
from learner.line import Line, begin_line
from riverrun.errors import CheckpointError
from riverrun.metrics import LearnerMetrics
from riverrun.model import tiny
from riverrun.settings import Settings
from riverrun.store import VersionStore
from riverrun.tokenizer import Tokenizer
from riverrun.workspace import Workspace
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


def test_another_tokenizer_or_world_size_is_refused_by_name(tmp_path: Path) -> None:
    settle(tmp_path, IDENTITY)
    files = {"config.json": "0", "tokenizer.json": "2", "chat_template.jinja": "3"}
    asked = msgspec.structs.replace(IDENTITY, files=files, world_size=2)
    with pytest.raises(CheckpointError) as refused:
        settle(tmp_path, asked)
    message = str(refused.value)
    assert "tokenizer.json is '1' there, '2' was asked for" in message
    assert "chat_template.jinja is 'absent' there, '3' was asked for" in message
    assert "world_size is 1 there, 2 was asked for" in message
    assert "config.json" not in message


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json"])
def test_a_changed_file_of_the_model_is_refused_and_never_served(tmp_path: Path, file: str) -> None:
    settings = Settings(data_dir=tmp_path / "data", model=str(tmp_path / "model"))
    store = VersionStore(str(tmp_path / "store"))
    tiny.write(tmp_path / "model")

    def begin() -> Line:
        return begin_line(
            settings,
            SimpleNamespace(workspace=Workspace(settings.data_dir)),  # type: ignore[arg-type]
            store,
            SimpleNamespace(directory=SimpleNamespace(guard=unguarded)),  # type: ignore[arg-type]
            LearnerMetrics(CollectorRegistry()),
        )

    assert begin().identity == begin().identity
    served = {path.name: path.read_bytes() for path in (tmp_path / "store" / "model").iterdir()}
    assert file in served
    changed = tmp_path / "model" / file
    changed.write_bytes(changed.read_bytes() + b"\n")
    with pytest.raises(CheckpointError, match=f"other settings: {file} is"):
        begin()
    assert (tmp_path / "store" / "model" / file).read_bytes() == served[file]


def test_another_format_is_refused_and_is_not_called_damage(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    settle(tmp_path, msgspec.structs.replace(IDENTITY, format=FORMAT + 1))
    newer = json.loads(path.read_bytes())
    older = {name: value for name, value in newer.items() if name not in ("files", "world_size")}
    for told in (newer, older | {"format": FORMAT - 1}):
        path.write_text(json.dumps(told))
        with pytest.raises(CheckpointError, match=f"format {told['format']}.*another --data-dir"):
            settle(tmp_path, IDENTITY)


def test_a_checkpoint_of_another_release_is_refused_and_is_not_called_damage(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    state = fakes.learn(tokenizer, fakes.state(), 1, 2)
    Checkpoints(tmp_path, 2).write(state, IDENTITY)
    path = tmp_path / "0000000002" / HEAD
    head = json.loads(path.read_bytes())["head"]
    del head["identity"]["files"]
    told = json.dumps(head).encode()
    sealed = Sealed(hashlib.sha256(told).hexdigest(), msgspec.Raw(told))
    path.write_bytes(msgspec.json.encode(sealed))
    with pytest.raises(CheckpointError, match="written by another release of riverrun"):
        Checkpoints(tmp_path, 2).restore_newest(fakes.state(), IDENTITY)
    assert Checkpoints(tmp_path, 2).steps() == [2], "nothing is set aside"


def test_a_checkpoint_under_other_settings_is_refused_by_what_differs(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    state = fakes.learn(tokenizer, fakes.state(), 1, 2)
    Checkpoints(tmp_path, 2).write(state, IDENTITY)
    recipe = msgspec.structs.replace(RECIPE, lr=0.25)
    other = msgspec.structs.replace(IDENTITY, recipe=recipe, format=FORMAT + 1)
    with pytest.raises(CheckpointError, match=r"format is .*learner\.lr is .* there, 0\.25 was"):
        Checkpoints(tmp_path, 2).restore_newest(fakes.state(), other)
