"""Which device to compute on, and what it is good at. Called by the learner and serving."""

import torch

from riverrun.errors import InvalidValue


def device_of(name: str) -> torch.device:
    """The torch device that the setting `device` means.

    Raises InvalidValue when torch has no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidValue("device", name, f"auto, cpu, or cuda where it is ({reason})") from error
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
