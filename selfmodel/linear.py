"""Systems of linear equations as least squares has them."""

import torch
from torch import Tensor


def solve_positive(matrix: Tensor, right: Tensor) -> Tensor:
    """[..., n, k] solutions for positive definite matrices [..., n, n] and right sides [..., n, k].

    By Cholesky: torch's batched LU breaks off in a program that has called torch.set_num_threads.
    """
    return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))
