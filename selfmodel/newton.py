"""Gauss-Newton steps for whole takes: a gradient that knows how steep the face is.

Actuators pull at the same skin, so plain gradient descent creeps along narrow valleys (200 steps of Adam left twice
the error that the self-model has). Here every frame brings its own Gauss-Newton matrix, by finite differences on
the self-model; lag and smoothness couple the frames. The whole is solved by conjugate gradients, never as a
matrix (truncated Gauss-Newton: Nocedal and Wright, Numerical Optimization, chapters 7 and 10; commands at the ends of
their range are held there as in Bertsekas' projected Newton method, 1982).
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

_PROBE_U: Final = 0.01
_CG_STEPS: Final = 40
_SCALES: Final = (1.0, 0.4, 0.1)

Product = Callable[[Tensor], Tensor]


def frame_matrices(residuals: Callable[[Tensor], Tensor], inputs: Tensor, free: Tensor) -> Tensor:
    """[B, N, N] Gauss-Newton matrices (second derivatives of the sum of squares) of residuals(inputs[B, F]) -> [B, R] in
    the first N columns of the inputs; zero where free[N] is."""
    with torch.no_grad():
        here, columns = residuals(inputs), torch.nonzero(free)[:, 0]
        jacobian = torch.zeros(*here.shape, len(free))
        for i in columns.tolist():
            moved = inputs.clone()
            moved[:, i] += _PROBE_U
            jacobian[:, :, i] = (residuals(moved) - here) / _PROBE_U
        return 2.0 * jacobian.transpose(1, 2) @ jacobian


def curvature(cost: Callable[[Tensor], Tensor], u: Tensor) -> Product:
    """Product of the second derivatives of cost(u).sum() at u with anything like u."""
    at = u.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(cost(at).sum(), at, create_graph=True)

    def product(v: Tensor) -> Tensor:
        (out,) = torch.autograd.grad(slope, at, grad_outputs=v, retain_graph=True)
        return out

    return product


def conjugate_gradients(product: Product, wanted: Tensor, steps: int = _CG_STEPS) -> Tensor:
    """x with product(x) = wanted, nearly; one system for each of wanted's first axis."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=(1, 2), keepdim=True)

    x, left = torch.zeros_like(wanted), wanted.clone()
    way, size = left.clone(), dot(left, left)
    for _ in range(steps):
        bent = product(way)
        far = size / dot(way, bent).clamp(min=1e-20)
        x, left = x + far * way, left - far * bent
        before, size = size, dot(left, left)
        way = left + size / before.clamp(min=1e-20) * way
    return x


def best_along(
    z: Tensor, step: Tensor, cost: Callable[[Tensor], Tensor], legal: Callable[[Tensor], Tensor]
) -> Tensor:
    """The best of z[B, T, M] and z + scale * step by cost -> [B], take by take."""
    with torch.no_grad():
        best, least = z, cost(z)
        for scale in _SCALES:
            tried = legal(z + scale * step)
            here = cost(tried)
            better = here < least
            best, least = torch.where(better[:, None, None], tried, best), torch.where(better, here, least)
    return best
