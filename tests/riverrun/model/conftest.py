"""Small models of every architecture, written by transformers, and SmolLM2 from the cache."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from riverrun.model import zoo
from riverrun.model.decoder import Decoder
from riverrun.model.files import load

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "attn_implementation": "eager",
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
ORACLES: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "llama": lambda: transformers.LlamaConfig(**SHAPE),
    "llama, tied": lambda: transformers.LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "llama, biases": lambda: transformers.LlamaConfig(**SHAPE, attention_bias=True),
    "llama, wide heads": lambda: transformers.LlamaConfig(**SHAPE, head_dim=16),
    "llama, one head a group": lambda: transformers.LlamaConfig(
        **{**SHAPE, "num_key_value_heads": 6}
    ),
    "llama 3.1 positions": lambda: transformers.LlamaConfig(**SHAPE, rope_parameters=LLAMA3_ROPE),
    "qwen2": lambda: transformers.Qwen2Config(**SHAPE),
    "qwen2, tied": lambda: transformers.Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": lambda: transformers.Qwen3Config(**SHAPE, head_dim=16),
    "qwen3, tied, biases": lambda: transformers.Qwen3Config(
        **SHAPE, head_dim=16, tie_word_embeddings=True, attention_bias=True
    ),
}


@pytest.fixture(params=ORACLES, ids=lambda name: name.replace(", ", "-").replace(" ", "-"))
def oracle(request: pytest.FixtureRequest) -> transformers.PreTrainedModel:
    """A random model of transformers in which no bias is zero and no norm is one."""
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(ORACLES[request.param]())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


@pytest.fixture
def ours(oracle: transformers.PreTrainedModel, tmp_path: Path) -> Decoder:
    oracle.save_pretrained(tmp_path / "oracle")
    return load(tmp_path / "oracle")


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.locate("tiny", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def smollm2(smollm2_dir: Path) -> Decoder:
    return load(smollm2_dir)
