"""The lowest and highest curvature of a loss around a point, from gradients alone.

Lanczos' method on the Hessian, whose products with a vector are differences of two gradients. It
begins from the gradient and a fixed pseudo-random direction together: at a saddle the way down may
not show in the gradient yet. A few products bracket the extremes from inside, so a negative lowest
is real, while one near zero may hide a lower one.

Knows nothing of models: what it is given is a flat vector and a gradient. Called by `stall.py`.

Source: Ghorbani, Krishnan and Xiao, An Investigation into Neural Net Optimization via Hessian
Eigenvalue Density, 2019; Pearlmutter, 1994, for the product (here by differences).

P numbers of the point.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Gradient = Callable[[Tensor], Tensor]
"""The gradient (P,) at a displacement (P,) from the point."""


def extremes(
    gradient_at: Gradient, start_P: Tensor, size: float, num_products: int = 10
) -> tuple[float, float]:
    """The lowest and highest Ritz value of the Hessian. size: norm of the point itself, which sets
    how far apart the two gradients are taken."""
    step = 2 * torch.finfo(start_P.dtype).eps ** 0.5 * (1 + size)
    generator = torch.Generator().manual_seed(1)
    noise_P = torch.randn(start_P.shape, generator=generator).to(start_P)
    norm = start_P.norm()
    first_P = noise_P / noise_P.norm() + (start_P / norm if norm > 0 else 0)
    basis = [first_P / first_P.norm()]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(min(num_products, start_P.numel())):
        at_P = basis[-1]
        product_P = (gradient_at(step * at_P) - gradient_at(-step * at_P)) / (2 * step)
        diagonal.append(float(product_P @ at_P))
        for known_P in basis:
            product_P = product_P - (product_P @ known_P) * known_P
        length = float(product_P.norm())
        if not np.isfinite(length) or length <= 1e-6 * max(map(abs, diagonal)):
            break
        off.append(length)
        basis.append(product_P / length)
    size_T = len(diagonal)
    matrix = np.diag(diagonal) + np.diag(off[: size_T - 1], 1) + np.diag(off[: size_T - 1], -1)
    if not np.isfinite(matrix).all():
        return float("nan"), float("nan")
    values = np.linalg.eigvalsh(matrix)
    return float(values[0]), float(values[-1])
