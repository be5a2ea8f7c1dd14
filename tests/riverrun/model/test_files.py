"""Weights from and to files."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from riverrun.errors import ModelError
from riverrun.model.decoder import Decoder
from riverrun.model.files import INDEX, WEIGHTS, load, load_config, save, save_tensors


@pytest.fixture
def directory(tiny_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_dir, tmp_path / "model"))


def change(directory: Path, **tensors: torch.Tensor | None) -> None:
    """Each name has `__` for a dot; None removes it."""
    weights = load_file(directory / WEIGHTS)
    for name, tensor in tensors.items():
        weights.pop(name.replace("__", "."), None)
        if tensor is not None:
            weights[name.replace("__", ".")] = tensor
    save_tensors(weights, directory / WEIGHTS)


@torch.no_grad()
def test_what_we_save_transformers_loads_as_the_same_model(ours: Decoder, tmp_path: Path) -> None:
    save(ours, tmp_path / "saved")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    tokens_BT = torch.arange(40)[None]
    torch.testing.assert_close(theirs(tokens_BT).logits, ours(tokens_BT), atol=1e-4, rtol=1e-4)


def test_save_and_load_change_no_bit(ours: Decoder, tmp_path: Path) -> None:
    save(ours, tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert again.config == ours.config
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_tied_matrices_are_stored_once(directory: Path) -> None:
    assert "lm_head.weight" not in load_file(directory / WEIGHTS)
    assert {p.name for p in directory.iterdir() if p.name.startswith(".")} == set()


def test_a_tied_copy_in_the_file_is_ignored(directory: Path) -> None:
    change(directory, lm_head__weight=torch.zeros(2))
    assert load(directory).output_matrix.shape == (260, 128)


def test_shards_load_as_one_file_does(oracle: transformers.PreTrainedModel, tmp_path: Path) -> None:
    oracle.save_pretrained(tmp_path / "one")
    oracle.save_pretrained(tmp_path / "many", max_shard_size="50KB")
    assert (tmp_path / "many" / INDEX).exists()
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 1
    one, many = load(tmp_path / "one").state_dict(), load(tmp_path / "many").state_dict()
    assert one.keys() == many.keys()
    assert all(torch.equal(one[name], many[name]) for name in one)


def test_loaded_weights_can_be_trained_and_the_file_stays(directory: Path) -> None:
    before = (directory / WEIGHTS).read_bytes()
    model = load(directory)
    model(torch.arange(8)[None]).sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    assert (directory / WEIGHTS).read_bytes() == before


def test_dtype_is_as_asked_or_as_in_the_file(directory: Path) -> None:
    assert load(directory, torch.bfloat16).output_matrix.dtype == torch.bfloat16
    save(load(directory, torch.bfloat16), directory)
    assert load_config(directory).torch_dtype == "bfloat16"
    assert load(directory, None).output_matrix.dtype == torch.bfloat16
    assert load(directory).output_matrix.dtype == torch.float32


def test_a_missing_weight_is_named(directory: Path) -> None:
    change(directory, model__norm__weight=None)
    with pytest.raises(ModelError, match=r"missing weights: model\.norm\.weight"):
        load(directory)


def test_an_unexpected_weight_is_named(directory: Path) -> None:
    change(directory, model__norm__bias=torch.zeros(2))
    with pytest.raises(ModelError, match=r"unexpected weights: model\.norm\.bias"):
        load(directory)


def test_a_misshapen_weight_is_named_with_both_shapes(directory: Path) -> None:
    change(directory, model__norm__weight=torch.zeros(2))
    with pytest.raises(ModelError, match=r"model\.norm\.weight \[2\] instead of \[128\]"):
        load(directory)


def test_a_non_finite_weight_is_named_when_asked(directory: Path) -> None:
    change(directory, model__norm__weight=torch.full((128,), float("nan")))
    load(directory)
    with pytest.raises(ModelError, match=r"non-finite weights: model\.norm\.weight"):
        load(directory, check_finite=True)


def test_a_torn_file_is_refused(directory: Path) -> None:
    content = (directory / WEIGHTS).read_bytes()
    (directory / WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=WEIGHTS):
        load(directory)


def test_a_directory_without_weights_is_refused(directory: Path) -> None:
    (directory / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=f"neither {WEIGHTS} nor {INDEX}"):
        load(directory)


def test_an_index_cannot_name_a_file_elsewhere(directory: Path) -> None:
    (directory / WEIGHTS).unlink()
    index = {"weight_map": {"model.norm.weight": "../elsewhere.safetensors"}}
    (directory / INDEX).write_text(json.dumps(index))
    with pytest.raises(ModelError, match="allowed: a file beside it"):
        load(directory)


def test_a_directory_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: No such file"):
        load(tmp_path)
