"""Cross-correlation of exemplar features with search features.

Written as one matrix product per pair followed by a shifted sum: M[u, q] is the inner product of exemplar
cell u with search cell q, and the response at displacement d is the sum of M[u, u + d] over u. The usual
form, a grouped convolution with one output channel, takes 4–8 times as long on a CPU (forward and backward,
fp32 and bf16), and sums in bf16 where this sums in fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable


def _shifted(m: torch.Tensor, h: int, w: int, rows: int, cols: int) -> torch.Tensor:
    """(N, h·w, H·W) contiguous → a view (N, h, w, R, S) whose [n, u, v, i, j] is M[n, (u, v), (u + i, v + j)]."""
    r, s = rows - h + 1, cols - w + 1
    cell = rows * cols
    return m.as_strided((m.shape[0], h, w, r, s), (h * w * cell, w * cell + cols, cell + 1, cols, 1))


class _CrossCorrelation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exemplar: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
        n, c, h, w = exemplar.shape
        rows, cols = search.shape[2:]
        z = exemplar.permute(0, 2, 3, 1).reshape(n, h * w, c)  # a view where the features are channels_last
        x = search.permute(0, 2, 3, 1).reshape(-1, rows * cols, c)
        ctx.save_for_backward(z, x)
        ctx.sizes = (h, w, rows, cols)
        m = torch.matmul(z, x.transpose(1, 2))
        return _shifted(m, h, w, rows, cols).sum((1, 2), dtype=torch.float32).unsqueeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z, x = ctx.saved_tensors
        h, w, rows, cols = ctx.sizes
        m = z.new_zeros(grad.shape[0], h * w, rows * cols)
        _shifted(m, h, w, rows, cols).copy_(grad.to(z.dtype).unsqueeze(2).expand(-1, h, w, -1, -1))
        grad_z = torch.matmul(m, x)
        if z.shape[0] == 1:  # one exemplar for the whole batch
            grad_z = grad_z.sum(0, keepdim=True)
        grad_x = torch.matmul(m.transpose(1, 2), z)
        return (
            grad_z.reshape(-1, h, w, z.shape[2]).permute(0, 3, 1, 2),
            grad_x.reshape(-1, rows, cols, x.shape[2]).permute(0, 3, 1, 2),
        )


def cross_correlation(exemplar: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
    """(B or 1, C, h, w) exemplar and (B, C, H, W) search features → (B, 1, H-h+1, W-w+1) responses, float32.

    Both in one floating-point type. An exemplar of batch 1 is used for every search region.
    """
    response: torch.Tensor = _CrossCorrelation.apply(exemplar, search)
    return response
