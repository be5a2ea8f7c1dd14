"""Turns a Llama model's GGUF file into a directory in the Hugging Face layout.

Numbers are dequantized exactly and stored as fp32: they are what the file says, and the
learner's master weights. Knows nothing of downloads. Called by `riverrun/model/smollm2.py`.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from riverrun.errors import ModelError
from riverrun.model.config import ModelConfig
from riverrun.model.files import CONFIG, WEIGHTS, save_tensors

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL = 3
"""GGUF's token type of markers such as `<|im_end|>`."""


def convert(source: Path, directory: Path) -> None:
    """Writes config, weights and tokenizer of `source` into the existing `directory`.

    Raises:
        ModelError: not a GGUF file, or a tokenizer that is not SmolLM2's kind.
    """
    try:
        reader = gguf.GGUFReader(source)
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: not a readable GGUF file: {error}") from error
    tensors = {}
    for tensor in reader.tensors:
        name = _hf_name(tensor.name)
        array = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = "head_count_kv" if "k_proj" in name else "head_count"
            array = _halves(array, int(_field(reader, f"llama.attention.{heads}")))
        tensors[name] = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    config = _config(reader, tied="lm_head.weight" not in tensors)
    save_tensors(tensors, directory / WEIGHTS)
    (directory / CONFIG).write_bytes(config.to_hf())
    _write_tokenizer(reader, config, directory)


def _field(reader: gguf.GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise ModelError(f"the GGUF file lacks the field {name}")
    return field.contents()


def _hf_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    prefix = ""
    if stem.startswith("blk."):
        _, layer, stem = stem.split(".")
        prefix = f"model.layers.{layer}."
    if stem not in NAMES:
        raise ModelError(f"the GGUF file holds {name}, which no Llama model has")
    return f"{prefix}{NAMES[stem]}.{kind}"


def _halves(weight: NDArray[np.float32], num_heads: int) -> NDArray[np.float32]:
    """From GGUF's order of rotary pairs, neighbours, to Hugging Face's, halves."""
    pairs = weight.reshape(num_heads, -1, 2, weight.shape[-1])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def _config(reader: gguf.GGUFReader, *, tied: bool) -> ModelConfig:
    def number(name: str) -> int:
        return int(_field(reader, name))

    eps = _field(reader, "llama.attention.layer_norm_rms_epsilon")
    return ModelConfig(
        vocab_size=number("llama.vocab_size"),
        hidden_size=number("llama.embedding_length"),
        num_layers=number("llama.block_count"),
        num_heads=number("llama.attention.head_count"),
        num_key_value_heads=number("llama.attention.head_count_kv"),
        head_dim=number("llama.rope.dimension_count"),
        intermediate_size=number("llama.feed_forward_length"),
        max_positions=number("llama.context_length"),
        rope_theta=float(_field(reader, "llama.rope.freq_base")),
        rms_norm_eps=float(f"{eps:.6g}"),  # stored as fp32: 9.99999975e-06 was 1e-05
        tie_embeddings=tied,
        bos_id=number("tokenizer.ggml.bos_token_id"),
        eos_ids=(number("tokenizer.ggml.eos_token_id"),),
        pad_id=number("tokenizer.ggml.padding_token_id"),
    )


def _write_tokenizer(reader: gguf.GGUFReader, config: ModelConfig, directory: Path) -> None:
    kind = (_field(reader, "tokenizer.ggml.model"), _field(reader, "tokenizer.ggml.pre"))
    if kind != ("gpt2", "smollm"):
        raise ModelError(f"tokenizer.ggml.model, pre are {kind}; supported: ('gpt2', 'smollm')")
    words: list[str] = _field(reader, "tokenizer.ggml.tokens")
    kinds: list[int] = _field(reader, "tokenizer.ggml.token_type")
    merges: list[str] = _field(reader, "tokenizer.ggml.merges")
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    markers = [word for word, kind in zip(words, kinds, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens(
        [AddedToken(marker, special=True, normalized=False) for marker in markers]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    assert config.bos_id is not None
    assert config.pad_id is not None
    special = {
        "bos_token": words[config.bos_id],
        "eos_token": words[config.eos_ids[0]],
        "pad_token": words[config.pad_id],
        "unk_token": words[int(_field(reader, "tokenizer.ggml.unknown_token_id"))],
    }
    _write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.max_positions,
            "clean_up_tokenization_spaces": False,
            "chat_template": _field(reader, "tokenizer.chat_template"),
            **special,
        },
    )
    ids = {"bos_token_id": config.bos_id, "eos_token_id": config.eos_ids[0]}
    _write_json(directory / "generation_config.json", {**ids, "pad_token_id": config.pad_id})


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
