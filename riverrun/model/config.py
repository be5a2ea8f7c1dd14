"""The shape of a decoder, read from and written to Hugging Face's `config.json`.

Knows which architectures we compute (llama, qwen2, qwen3) and refuses the rest by
name, before any weight is read: a model that loads and computes something else is
worse than one that does not load. Does not import torch. Called by
`riverrun/model/files.py`, the zoo and whoever sizes a cache.
"""

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from riverrun.errors import ModelError

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
DTYPES = ("float32", "bfloat16", "float16")


class Llama3Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """The rotary frequencies of Llama 3.1 and later, stretched to a longer context."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_positions: int


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that fixes the names and shapes of the weights, and the arithmetic."""

    model_type: str = "llama"
    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    max_positions: int
    rope_theta: float = 10_000.0
    rope_scaling: Llama3Scaling | None = None
    rms_norm_eps: float = 1e-6
    tie_embeddings: bool = True
    attention_bias: bool = False
    """Biases on the query, key and value projections."""
    output_bias: bool = False
    """A bias on the attention's output projection."""
    qk_norm: bool = False
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    pad_id: int | None = None
    torch_dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.model_type not in ARCHITECTURES:
            raise _unsupported("model_type", self.model_type, _one_of(ARCHITECTURES))
        if self.torch_dtype not in DTYPES:
            raise _unsupported("torch_dtype", self.torch_dtype, _one_of(DTYPES))
        for field in ("vocab_size", "hidden_size", "num_layers", "num_heads", "head_dim"):
            _at_least_one(field, getattr(self, field))
        for field in ("num_key_value_heads", "intermediate_size", "max_positions"):
            _at_least_one(field, getattr(self, field))
        if self.num_heads % self.num_key_value_heads:
            allowed = f"a divisor of the {self.num_heads} query heads"
            raise _unsupported("num_key_value_heads", self.num_key_value_heads, allowed)
        if self.head_dim % 2:
            raise _unsupported("head_dim", self.head_dim, "an even number (rotary pairs)")

    @classmethod
    def from_hf(cls, raw: bytes | str) -> Self:
        """The config of one `config.json`.

        Raises:
            ModelError: an architecture, an option or a type that we do not compute.
        """
        try:
            hf = msgspec.json.decode(raw, type=_HFConfig)
        except msgspec.DecodeError as error:
            raise ModelError(f"config.json: {error}") from error
        hf.refuse_what_we_do_not_compute()
        theta, scaling = _rope(hf)
        is_qwen2 = hf.model_type == "qwen2"
        heads = hf.num_attention_heads
        return cls(
            model_type=hf.model_type,
            vocab_size=hf.vocab_size,
            hidden_size=hf.hidden_size,
            num_layers=hf.num_hidden_layers,
            num_heads=heads,
            num_key_value_heads=hf.num_key_value_heads or heads,
            head_dim=hf.head_dim or (128 if hf.model_type == "qwen3" else hf.hidden_size // heads),
            intermediate_size=hf.intermediate_size,
            max_positions=hf.max_position_embeddings,
            rope_theta=theta,
            rope_scaling=scaling,
            rms_norm_eps=hf.rms_norm_eps,
            tie_embeddings=hf.tie_word_embeddings,
            attention_bias=is_qwen2 or hf.attention_bias,
            output_bias=not is_qwen2 and hf.attention_bias,
            qk_norm=hf.model_type == "qwen3",
            bos_id=hf.bos_token_id,
            eos_ids=_as_tuple(hf.eos_token_id),
            pad_id=hf.pad_token_id,
            torch_dtype=(hf.dtype or hf.torch_dtype or "float32").removeprefix("torch."),
        )

    def to_hf(self) -> bytes:
        """The `config.json` that `from_hf`, and transformers, read back as the same model."""
        rope: dict[str, Any] = {"rope_type": "default"}
        if self.rope_scaling is not None:
            scaling = msgspec.structs.asdict(self.rope_scaling)
            scaling["original_max_position_embeddings"] = scaling.pop("original_max_positions")
            rope = {"rope_type": "llama3", **scaling}
        fields = {
            "architectures": [ARCHITECTURES[self.model_type]],
            "model_type": self.model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.intermediate_size,
            "hidden_act": "silu",
            "max_position_embeddings": self.max_positions,
            # The old names and the new one: transformers 4 and 5 each read their own.
            "rope_theta": self.rope_theta,
            "rope_scaling": rope if self.rope_scaling is not None else None,
            "rope_parameters": {**rope, "rope_theta": self.rope_theta},
            "rms_norm_eps": self.rms_norm_eps,
            "tie_word_embeddings": self.tie_embeddings,
            "attention_bias": self.output_bias,
            "bos_token_id": self.bos_id,
            "eos_token_id": _as_one_or_list(self.eos_ids),
            "pad_token_id": self.pad_id,
            "torch_dtype": self.torch_dtype,
        }
        return msgspec.json.format(msgspec.json.encode(fields), indent=2)

    def num_parameters(self) -> int:
        """How many numbers the weights hold; a tied output matrix counts once."""
        query, key_value = self.num_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        attention = self.hidden_size * (2 * query + 2 * key_value)
        attention += self.attention_bias * (query + 2 * key_value)
        attention += self.output_bias * self.hidden_size + self.qk_norm * 2 * self.head_dim
        mlp = 3 * self.hidden_size * self.intermediate_size
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        layer = attention + mlp + 2 * self.hidden_size
        return self.num_layers * layer + embeddings + self.hidden_size


class _HFConfig(msgspec.Struct, kw_only=True):
    """The fields of `config.json` that change what is computed, with transformers' defaults."""

    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    rope_theta: float | None = None
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    partial_rotary_factor: float = 1.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: bool = False
    layer_types: list[str] | None = None
    quantization_config: dict[str, Any] | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    dtype: str | None = None
    torch_dtype: str | None = None

    def refuse_what_we_do_not_compute(self) -> None:
        kinds = set(self.layer_types or ()) - {"full_attention"}
        for refused, field, value, allowed in (
            (self.model_type not in ARCHITECTURES, "model_type", None, _one_of(ARCHITECTURES)),
            (self.hidden_act != "silu", "hidden_act", None, "'silu'"),
            (self.partial_rotary_factor != 1, "partial_rotary_factor", None, "1"),
            (self.mlp_bias, "mlp_bias", None, "false"),
            (self.use_sliding_window, "use_sliding_window", None, "false"),
            (bool(kinds), "layer_types", sorted(kinds), "'full_attention' in every layer"),
            (self.quantization_config is not None, "quantization_config", None, "none"),
        ):
            if refused:
                raise _unsupported(field, value or getattr(self, field), allowed)


def _rope(hf: _HFConfig) -> tuple[float, Llama3Scaling | None]:
    rope: Mapping[str, Any] = {**(hf.rope_scaling or {}), **(hf.rope_parameters or {})}
    theta = rope.get("rope_theta", hf.rope_theta)
    theta = 10_000.0 if theta is None else float(theta)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise _unsupported("rope_parameters.rope_type", kind, "'default' or 'llama3'")
    try:
        return theta, Llama3Scaling(
            factor=float(rope["factor"]),
            low_freq_factor=float(rope["low_freq_factor"]),
            high_freq_factor=float(rope["high_freq_factor"]),
            original_max_positions=int(rope["original_max_position_embeddings"]),
        )
    except KeyError as error:
        raise ModelError(f"config.json: rope_parameters lacks {error}") from error


def _unsupported(field: str, value: object, allowed: str) -> ModelError:
    return ModelError(f"config.json: {field} is {value!r}; supported: {allowed}")


def _at_least_one(field: str, value: int) -> None:
    if value < 1:
        raise _unsupported(field, value, "1 or more")


def _one_of(names: Mapping[str, str] | tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)


def _as_tuple(ids: int | list[int] | None) -> tuple[int, ...]:
    if ids is None:
        return ()
    return (ids,) if isinstance(ids, int) else tuple(ids)


def _as_one_or_list(ids: tuple[int, ...]) -> int | tuple[int, ...] | None:
    return None if not ids else ids[0] if len(ids) == 1 else ids
