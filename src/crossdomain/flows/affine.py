"""The affine flow: what aligns Gaussians, and with a normal prior is one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossdomain.flows.flow import Flow


class AffineFlow(Flow):
    """``z = L (x + shift)`` on vectors (N, D), with L lower triangular and positive on its diagonal.

    Among such maps exactly one takes a given mean and covariance to another one, so nothing is left open, as a
    rotation would be. A new flow is the identity; ``initialize`` whitens a batch.

    Args:
        channels: D, the length of the vectors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_diagonal = nn.Parameter(torch.zeros(channels))
        self.lower = nn.Parameter(torch.zeros(channels, channels))  # what is not below the diagonal plays no part

    @property
    def matrix(self) -> Tensor:
        """L, (D, D)."""
        return self.lower.tril(-1) + self.log_diagonal.exp().diag()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shift, then multiply."""
        return (x + self.shift) @ self.matrix.T, self.log_diagonal.sum().expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Solve for the shifted vectors, then shift back."""
        x = torch.linalg.solve_triangular(self.matrix, z.T, upper=False).T - self.shift
        return x, -self.log_diagonal.sum().expand(len(z))

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Whiten the batch ``x``: mean zero and covariance one, up to a millionth of the variance for stability."""
        covariance = torch.cov(x.T, correction=0).reshape(x.shape[1], x.shape[1])
        jitter = 1e-6 * covariance.diagonal().mean().clamp_min(1e-12)
        root = torch.linalg.cholesky(covariance + jitter * torch.eye(len(covariance)).to(x))
        whitening = torch.linalg.solve_triangular(root, torch.eye(len(root)).to(x), upper=False)
        self.shift.copy_(-x.mean(0))
        self.log_diagonal.copy_(whitening.diagonal().log())
        self.lower.copy_(whitening.tril(-1))
        return self(x)[0]
