"""A decoder of the Llama family, for training and for cached decoding alike.

RMSNorm, rotary positions, grouped-query attention, SwiGLU; Qwen2's biases and Qwen3's
norms of queries and keys. Parameters carry Hugging Face's names, so `state_dict()` is that
layout. Knows nothing of tokens' text, sampling, files, or how a cache lays out its memory.
Called by the learner, serving's engine and `riverrun/model/write.py`.

B batch, T new tokens, S tokens seen, H heads, D width (hidden, or of one head), V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from riverrun.errors import InvalidValue
from riverrun.model.attention import attend
from riverrun.model.branches import Branches
from riverrun.model.cache import KeyValueCache
from riverrun.model.config import ModelConfig
from riverrun.model.rotary import Rotary, Rotation


class Pass:
    """What all layers of one forward pass share."""

    def __init__(self, rotation: Rotation, cache: KeyValueCache | Branches | None) -> None:
        self.rotation = rotation
        self.cache = cache
        self._bias: Tensor | None = None
        self._bias_is_known = cache is None

    def bias(self, query_BHTD: Tensor, key_BHSD: Tensor) -> Tensor | None:
        """What is added to the scores, (B, 1, T, S); None where causality alone decides.

        Additive, once a pass: SDPA would turn a boolean mask into this in every layer.
        """
        if not self._bias_is_known:
            self._bias = self._made_bias(query_BHTD, key_BHSD)
            self._bias_is_known = True
        return self._bias

    def _made_bias(self, query_BHTD: Tensor, key_BHSD: Tensor) -> Tensor | None:
        assert self.cache is not None
        assert not isinstance(self.cache, Branches)
        num_new, num_seen = query_BHTD.shape[2], key_BHSD.shape[2]
        mask_BTS = self.cache.mask_BTS
        if mask_BTS is None:
            if num_new in (1, num_seen):
                return None
            square = torch.ones(num_new, num_seen, dtype=torch.bool, device=query_BHTD.device)
            mask_BTS = square.tril(num_seen - num_new)[None]
        bias_BTS = torch.zeros(mask_BTS.shape, dtype=query_BHTD.dtype, device=mask_BTS.device)
        return bias_BTS.masked_fill_(~mask_BTS, float("-inf"))[:, None]


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Linear(nn.Linear):
    """Leaves its numbers to `Decoder.initialise` or to a file.

    torch's own initialisation, on the meta device, imports a second's worth of modules.
    """

    def reset_parameters(self) -> None:
        return None


class Embedding(nn.Embedding):
    """As `Linear`."""

    def reset_parameters(self) -> None:
        return None


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        width, bias = config.hidden_size, config.attention_bias
        query, key = (
            config.num_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
        )
        self.q_proj = Linear(width, query, bias=bias)
        self.k_proj = Linear(width, key, bias=bias)
        self.v_proj = Linear(width, key, bias=bias)
        self.o_proj = Linear(query, width, bias=config.output_bias)
        if config.qk_norm:
            self.q_norm: RMSNorm | None = RMSNorm(config.head_dim, config.rms_norm_eps)
            self.k_norm: RMSNorm | None = RMSNorm(config.head_dim, config.rms_norm_eps)
        else:
            self.q_norm = self.k_norm = None

    def forward(self, x_BTD: Tensor, shared: Pass) -> Tensor:
        query_BTHD = self.q_proj(x_BTD).unflatten(-1, (-1, self.head_dim))
        key_BTHD = self.k_proj(x_BTD).unflatten(-1, (-1, self.head_dim))
        if self.q_norm is not None and self.k_norm is not None:
            query_BTHD, key_BTHD = self.q_norm(query_BTHD), self.k_norm(key_BTHD)
        query_BHTD = shared.rotation.turn(query_BTHD.transpose(1, 2))
        key_BHSD = shared.rotation.turn(key_BTHD.transpose(1, 2))
        value_BHSD = self.v_proj(x_BTD).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        if isinstance(shared.cache, Branches):
            attended_BHTD = shared.cache.attend(self.layer, query_BHTD, key_BHSD, value_BHSD)
        else:
            if shared.cache is not None:
                key_BHSD, value_BHSD = shared.cache.extend(self.layer, key_BHSD, value_BHSD)
            bias = shared.bias(query_BHTD, key_BHSD)
            attended_BHTD = attend(query_BHTD, key_BHSD, value_BHSD, bias)
        out: Tensor = self.o_proj(attended_BHTD.transpose(1, 2).flatten(-2))
        return out


class MLP(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return out


class Layer(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x_BTD: Tensor, shared: Pass) -> Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), shared)
        out: Tensor = x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))
        return out


class Trunk(nn.Module):
    """All but the output matrix; only here because Hugging Face's names begin with `model.`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, tokens_BT: Tensor, shared: Pass) -> Tensor:
        x_BTD: Tensor = self.embed_tokens(tokens_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, shared)
        out: Tensor = self.norm(x_BTD)
        return out


class Decoder(nn.Module):
    """Tokens in, logits of each next token out."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.rotary = Rotary(config)
        if not config.tie_embeddings:
            self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)
        if not self.output_matrix.is_meta:
            self.initialise()

    def hidden(
        self,
        tokens_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        cache: KeyValueCache | Branches | None = None,
    ) -> Tensor:
        """The last layer's normed output (B, T, D).

        Without a cache every row starts at position 0 and attends causally. With one,
        `positions_BT` is required ((1, T) when all rows share it): the decoder cannot know how
        far a row has come.
        """
        if positions_BT is None:
            if cache is not None:
                raise InvalidValue("positions_BT", None, "a tensor whenever a cache is given")
            positions_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)[None]
        rotation = self.rotary.rotation(positions_BT, self.model.embed_tokens.weight.dtype)
        hidden_BTD: Tensor = self.model(tokens_BT, Pass(rotation, cache))
        return hidden_BTD

    def logits(self, hidden_BTD: Tensor) -> Tensor:
        """The scores of the next token, (..., V), of any leading shape of hidden states."""
        return F.linear(hidden_BTD, self.output_matrix)

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        cache: KeyValueCache | Branches | None = None,
    ) -> Tensor:
        """Logits (B, T, V) at every position; `hidden` and `logits` where fewer are wanted."""
        return self.logits(self.hidden(tokens_BT, positions_BT=positions_BT, cache=cache))

    @property
    def output_matrix(self) -> Tensor:
        tied = self.config.tie_embeddings
        return self.model.embed_tokens.weight if tied else self.lm_head.weight

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None, *, std: float = 0.02) -> None:
        """Fresh weights: normal matrices, zero biases, unit norms.

        What is added to the residual stream starts smaller by sqrt(2 x layers), so that the
        stream's size does not grow with depth. Source: GPT-2.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                shrink = (2 * self.config.num_layers) ** 0.5 if adds else 1.0
                parameter.normal_(0.0, std / shrink, generator=generator)
