"""The decoder as serving runs it: the same function as `riverrun.model.decoder.Decoder`, with few
operations a token.

Queries, keys and values are one product, gate and up another. The weights of the norms before
them are folded into their matrices at load, so that a norm is one number a row, which scales the
product. Rotary pairs lie side by side (rows of the matrices are reordered at load, which changes no
score), so that a turn is one complex multiplication. Tokens of all sequences of a pass stand in one
row of N, without padding.

Knows nothing of sequences, files or sampling. Filled by `serving/weights.py`, run by
`serving/runner.py`.

N tokens of a pass, D hidden width, H key/value heads, G queries a key/value head, E head width,
P pairs of a head (E / 2), I intermediate width, V vocabulary.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from riverrun.model.config import ModelConfig
from riverrun.model.rotary import Rotary
from serving.products import Precision, Products


class Window(Protocol):
    """What attention needs of the cache for one pass."""

    @property
    def positions_N(self) -> Tensor:
        """Each token's position in its sequence."""

    def attend(self, layer: int, query_NHGE: Tensor, new_NKE: Tensor) -> Tensor:
        """Store the new keys and values (first H keys, then H values of each token); what each
        query sees of its own sequence up to itself, (N, H * G * E)."""


class LeanLayer:
    """One layer's products and, for Qwen3, the norms of its heads."""

    def __init__(self, config: ModelConfig, products: Products) -> None:
        self._config = config
        self._num_turned = config.num_heads + config.num_key_value_heads
        width, heads = config.hidden_size, self._num_turned + config.num_key_value_heads
        self.qkv = products.make(width, heads * config.head_dim)
        self.out = products.make(config.num_heads * config.head_dim, width)
        self.gate_up = products.make(width, 2 * config.intermediate_size)
        self.down = products.make(config.intermediate_size, width)
        self.query_norm_E = self.key_norm_E = None
        if config.qk_norm:
            self.query_norm_E = torch.empty(config.head_dim, device=products.device)
            self.key_norm_E = torch.empty(config.head_dim, device=products.device)
        pairs = torch.arange(config.head_dim // 2)
        self._pairs_E = torch.stack((pairs, pairs + config.head_dim // 2), -1).flatten()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take one layer's weights, by their names without the layer's prefix."""
        norm_D = tensors["input_layernorm.weight"].float()
        names = ("q_proj", "k_proj", "v_proj")
        weights = [tensors[f"self_attn.{name}.weight"].float() for name in names]
        qkv = torch.cat([*map(self._side_by_side, weights[:2]), weights[2]])
        bias = None
        if "self_attn.q_proj.bias" in tensors:
            biases = [tensors[f"self_attn.{name}.bias"].float() for name in names]
            bias = torch.cat([*map(self._side_by_side, biases[:2]), biases[2]])
        self.qkv.load(qkv.mul_(norm_D), bias)
        self.out.load(
            tensors["self_attn.o_proj.weight"].float(), tensors.get("self_attn.o_proj.bias")
        )
        norm_D = tensors["post_attention_layernorm.weight"].float()
        gate_up = torch.cat([tensors[f"mlp.{name}_proj.weight"].float() for name in ("gate", "up")])
        self.gate_up.load(gate_up.mul_(norm_D))
        self.down.load(tensors["mlp.down_proj.weight"].float())
        if self.query_norm_E is not None and self.key_norm_E is not None:
            self.query_norm_E.copy_(tensors["self_attn.q_norm.weight"][self._pairs_E])
            self.key_norm_E.copy_(tensors["self_attn.k_norm.weight"][self._pairs_E])

    def _side_by_side(self, rows: Tensor) -> Tensor:
        """Dimension i of each head next to i + E/2, with which it turns."""
        heads = rows.reshape(-1, self._config.head_dim, *rows.shape[1:])
        return heads[:, self._pairs_E].reshape(rows.shape)


class LeanModel:
    """Tokens in, normed hidden states and logits out."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        precision: Precision = "float32",
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.precision = precision
        self.device = torch.device(device)
        products = Products(precision, device)
        self.layers = [LeanLayer(config, products) for _ in range(config.num_layers)]
        self._dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        shape = (config.vocab_size, config.hidden_size)
        self.embedding_VD = torch.empty(shape, dtype=self._dtype, device=device)
        self.norm_D = torch.empty(config.hidden_size, device=device)
        # A tied matrix of a floating type is the embedding itself.
        self._is_shared = config.tie_embeddings and precision != "int8"
        self.output = None if self._is_shared else products.make(shape[1], shape[0])
        self._eps = torch.tensor(config.rms_norm_eps, device=device)
        self._rotary = Rotary(config)
        self._turns_CP = torch.empty(0, config.head_dim // 2, dtype=torch.complex64, device=device)

    # Loading

    def load_layer(self, layer: int, tensors: Mapping[str, Tensor]) -> None:
        self.layers[layer].load(tensors)

    def load_ends(self, embedding_VD: Tensor, norm_D: Tensor, output_VD: Tensor | None) -> None:
        """What is not in a layer; `output_VD` is None where it is tied to the embedding."""
        self.embedding_VD.copy_(embedding_VD)
        self.norm_D.copy_(norm_D)
        if self.output is not None:
            self.output.load(embedding_VD if output_VD is None else output_VD)

    # Running

    def hidden(self, tokens_N: Tensor, window: Window) -> Tensor:
        """The last layer's normed output, (N, D)."""
        x_ND = F.embedding(tokens_N, self.embedding_VD)
        if self._dtype != torch.float32:
            x_ND = x_ND.float()
        turns_N1P = self.turns_CP[window.positions_N][:, None]
        for number, layer in enumerate(self.layers):
            qkv_NF = layer.qkv.of_scaled(x_ND, self._inverse_rms(x_ND))
            query_NHGE, new_NKE = self._turned(layer, qkv_NF, turns_N1P)
            layer.out.add_to(x_ND, window.attend(number, query_NHGE, new_NKE))
            gate_up_NF = layer.gate_up.of_scaled(x_ND, self._inverse_rms(x_ND))
            gate_NI, up_NI = gate_up_NF.chunk(2, -1)
            layer.down.add_to(x_ND, F.silu(gate_NI, inplace=True).mul_(up_NI))
        return x_ND.mul_(self._inverse_rms(x_ND)).mul_(self.norm_D)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """The scores of the next token, (N, V), fp32."""
        if self.output is not None:
            return self.output.of(hidden_ND)
        return F.linear(hidden_ND.to(self._dtype), self.embedding_VD).float()

    def _inverse_rms(self, x_ND: Tensor) -> Tensor:
        length_N1 = torch.linalg.vector_norm(x_ND, 2, -1, True)
        mean = 1 / self.config.hidden_size
        return torch.addcmul(self._eps, length_N1, length_N1, value=mean).rsqrt_()

    def _turned(self, layer: LeanLayer, qkv_NF: Tensor, turns_N1P: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        num_tokens, num_heads = qkv_NF.shape[0], config.num_heads
        num_kv, width = config.num_key_value_heads, config.head_dim
        heads_NFE = qkv_NF.view(num_tokens, num_heads + 2 * num_kv, width)
        if layer.query_norm_E is not None and layer.key_norm_E is not None:
            eps = config.rms_norm_eps
            queries, keys = heads_NFE[:, :num_heads], heads_NFE[:, num_heads:-num_kv]
            queries.copy_(F.rms_norm(queries, (width,), layer.query_norm_E, eps))
            keys.copy_(F.rms_norm(keys, (width,), layer.key_norm_E, eps))
        turned = torch.view_as_complex(heads_NFE.view(num_tokens, -1, width // 2, 2))
        turned[:, : num_heads + num_kv].mul_(turns_N1P)
        query_NHGE = heads_NFE[:, :num_heads].view(num_tokens, num_kv, -1, width)
        return query_NHGE, heads_NFE[:, num_heads:]

    @property
    def turns_CP(self) -> Tensor:
        """The turn of every pair at every position."""
        if self._turns_CP.shape[0] == 0:
            positions_1C = torch.arange(self.config.max_positions, device=self.device)[None]
            rotation = self._rotary.rotation(positions_1C, torch.float32)
            pairs = self.config.head_dim // 2
            cos_CP, sin_CP = rotation.cos_B1TD[0, 0, :, :pairs], rotation.sin_B1TD[0, 0, :, :pairs]
            self._turns_CP = torch.complex(cos_CP.contiguous(), sin_CP.contiguous())
        return self._turns_CP
