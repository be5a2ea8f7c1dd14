"""Rotary positions: each pair of a head's dimensions turns by an angle that grows with position.

Knows nothing of attention. Called by `riverrun/model/decoder.py`.

B batch, T new tokens, H heads, D head dimension.

Source: Su et al., RoFormer, 2021 (arXiv:2104.09864); in the half-split order of Hugging Face, where
dimension i pairs with i + D/2, not with its neighbour.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from riverrun.model.config import Llama3Scaling, ModelConfig


@dataclass(frozen=True, slots=True)
class Rotation:
    """The turn of every position of one forward pass, shared by all layers."""

    cos_B1TD: Tensor
    sin_B1TD: Tensor

    def turn(self, x_BHTD: Tensor) -> Tensor:
        low, high = x_BHTD.chunk(2, dim=-1)
        return x_BHTD * self.cos_B1TD + torch.cat((-high, low), dim=-1) * self.sin_B1TD


class Rotary:
    """Turns positions into rotations.

    Not a module: its frequencies are no weights, and must stay fp32 when the weights are cast
    to bf16, where position 257 is already rounded to 256.
    """

    def __init__(self, config: ModelConfig) -> None:
        pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device="cpu")
        frequencies = 1.0 / (config.rope_theta ** (pairs / config.head_dim))
        if config.rope_scaling is not None:
            frequencies = _stretched(frequencies, config.rope_scaling)
        self.frequencies = frequencies

    def rotation(self, positions_BT: Tensor, dtype: torch.dtype) -> Rotation:
        """B may be 1 when all rows share their positions."""
        if self.frequencies.device != positions_BT.device:
            self.frequencies = self.frequencies.to(positions_BT.device)
        angles_BTP = positions_BT[..., None].float() * self.frequencies
        angles_B1TD = torch.cat((angles_BTP, angles_BTP), dim=-1)[:, None]
        return Rotation(angles_B1TD.cos().to(dtype), angles_B1TD.sin().to(dtype))


def _stretched(frequencies: Tensor, scaling: Llama3Scaling) -> Tensor:
    """Long waves slow down by `factor`, short ones stay, those between are blended.

    Source: Llama 3.1's reference code.
    """
    wavelengths = 2 * math.pi / frequencies
    turns = scaling.original_max_positions / wavelengths
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept = kept.clamp(0.0, 1.0)
    return kept * frequencies + (1 - kept) * frequencies / scaling.factor
