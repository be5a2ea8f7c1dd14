"""A byte-level model of about a million parameters that starts from nothing.

For tests, benches, and languages that no checkpoint knows: every byte is a token, so any text
is encodable and a token id below 256 is the byte's value. Same seed, same weights. Called by
the model zoo.
"""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from riverrun.byte_symbols import SYMBOLS
from riverrun.model.config import ModelConfig
from riverrun.model.decoder import Decoder
from riverrun.model.files import save

SEED = 20_260_101
EOS, PAD, START, END = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
MARKERS = (EOS, PAD, START, END)

CONFIG = ModelConfig(
    vocab_size=256 + len(MARKERS),
    hidden_size=128,
    num_layers=5,
    num_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    intermediate_size=352,
    max_positions=1024,
    rope_theta=10_000.0,
    rms_norm_eps=1e-5,
    tie_embeddings=True,
    eos_ids=(256, 259),
    pad_id=257,
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write(directory: Path, *, seed: int = SEED) -> None:
    """Fills the existing `directory` with the model in the Hugging Face layout."""
    model = Decoder(CONFIG)
    model.initialise(torch.Generator().manual_seed(seed))
    save(model, directory)
    tokenizer().save(str(directory / "tokenizer.json"))
    _write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": CONFIG.max_positions,
            "clean_up_tokenization_spaces": False,
            "eos_token": EOS,
            "pad_token": PAD,
            "chat_template": CHAT_TEMPLATE,
        },
    )
    _write_json(
        directory / "generation_config.json",
        {"eos_token_id": list(CONFIG.eos_ids), "pad_token_id": CONFIG.pad_id},
    )


def tokenizer() -> Tokenizer:
    """One token a byte, without merges, and the markers."""
    vocabulary = {symbol: byte for byte, symbol in enumerate(SYMBOLS)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(
        [AddedToken(marker, special=True, normalized=False) for marker in MARKERS]
    )
    return made


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
