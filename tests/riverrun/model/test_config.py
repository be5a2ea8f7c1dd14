"""What `config.json` may say."""

import json
from typing import Any

import pytest

from riverrun.errors import ModelError
from riverrun.model import tiny
from riverrun.model.config import Llama3Scaling, ModelConfig

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "rms_norm_eps": 1e-5,
}
SCALING = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def read(**fields: Any) -> ModelConfig:
    return ModelConfig.from_hf(json.dumps({**LLAMA, **fields}))


def test_absent_fields_take_the_defaults_of_transformers() -> None:
    config = read()
    assert (config.num_key_value_heads, config.head_dim) == (4, 16)
    assert (config.rope_theta, config.max_positions) == (10_000.0, 2048)
    assert not config.tie_embeddings
    assert config.eos_ids == ()


def test_positions_are_read_under_the_old_names_and_the_new_one() -> None:
    new = read(rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert read(rope_theta=5e5) == read(rope_theta=5e5, rope_scaling=None) == new
    scaled = read(rope_theta=5e5, rope_scaling={"rope_type": "llama3", **SCALING})
    assert scaled == read(rope_parameters={"rope_type": "llama3", "rope_theta": 5e5, **SCALING})
    assert scaled.rope_scaling == Llama3Scaling(
        factor=8, low_freq_factor=1, high_freq_factor=4, original_max_positions=8192
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model_type": "qwen2", "eos_token_id": [1, 2], "bos_token_id": 0},
        {"model_type": "qwen3", "head_dim": 32, "attention_bias": True},
        {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **SCALING}},
        {"tie_word_embeddings": True, "torch_dtype": "bfloat16", "attention_bias": True},
    ],
    ids=str,
)
def test_a_config_that_is_written_reads_back_the_same(fields: dict[str, Any]) -> None:
    config = read(**fields)
    assert ModelConfig.from_hf(config.to_hf()) == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "mamba"}, "model_type is 'mamba'; supported: 'llama', 'qwen2', 'qwen3'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; supported: 'silu'"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_type is 'yarn'; supported: 'default'"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "lacks 'factor'"),
        ({"use_sliding_window": True}, "use_sliding_window is True; supported: false"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types is"),
        ({"mlp_bias": True}, "mlp_bias is True; supported: false"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is"),
        ({"num_key_value_heads": 3}, "num_key_value_heads is 3; supported: a divisor of the 4"),
        ({"num_hidden_layers": 0}, "num_layers is 0; supported: 1 or more"),
        ({"hidden_size": "64"}, r"Expected `int`, got `str` - at `\$.hidden_size`"),
        ({"torch_dtype": "int8"}, "torch_dtype is 'int8'"),
        ({"head_dim": 15}, "head_dim is 15; supported: an even number"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_we_do_not_compute_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read(**fields)


def test_tiny_has_about_a_million_parameters() -> None:
    assert 0.8e6 < tiny.CONFIG.num_parameters() < 1.2e6
