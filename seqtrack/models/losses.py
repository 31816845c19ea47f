"""The loss of SiamFC: logistic, positives and negatives balanced (Bertinetto et al. 2016, section 2.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def target_offsets(
    exemplar_box: torch.Tensor, search_box: torch.Tensor, exemplar_size: int, search_size: int
) -> torch.Tensor:
    """Displacement (B, 2), x y in search-crop pixels, at which the exemplar's features find the target.

    ``exemplar_box``, ``search_box``: (B, 4) x y w h of the target in the pixels of its crop. A crop's
    source rectangle is rounded to whole pixels, so that even a centred target lies off the crop's centre by
    a fraction of a source pixel, in both crops.
    """
    exemplar = exemplar_box[:, :2] + exemplar_box[:, 2:] / 2 - exemplar_size / 2
    search = search_box[:, :2] + search_box[:, 2:] / 2 - search_size / 2
    return search - exemplar


def label_map(
    offsets: torch.Tensor, response_size: int, stride: int, radius: float, center: float | None = None
) -> torch.Tensor:
    """(B, 2) displacements x y in search pixels → (B, 1, R, R) labels: 1 within ``radius`` search pixels, else 0.

    ``center``: the response cell of no displacement (default: the middle of the map).
    """
    center = (response_size - 1) / 2 if center is None else center
    cells = (torch.arange(response_size, device=offsets.device, dtype=torch.float32) - center) * stride
    dx = cells.view(1, 1, -1) - offsets[:, 0].view(-1, 1, 1)
    dy = cells.view(1, -1, 1) - offsets[:, 1].view(-1, 1, 1)
    return (dx.square() + dy.square() <= radius * radius).to(torch.float32).unsqueeze(1)


def balance_weights(labels: torch.Tensor) -> torch.Tensor:
    """(B, 1, R, R) weights: positives of a sample sum to 0.5, negatives to 0.5.

    Where a sample has only one kind (the target lies off the map), that kind sums to 1: each sample weighs the same.
    """
    positives = labels.sum((1, 2, 3), keepdim=True)
    negatives = labels[0].numel() - positives
    share = torch.where((positives > 0) & (negatives > 0), 0.5, 1.0)
    return torch.where(labels > 0, share / positives.clamp(min=1), share / negatives.clamp(min=1))


def balanced_logistic_loss(
    response: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over samples of the weighted logistic loss log(1 + exp(-y v)), y = ±1; log 2 for a response of zeros.

    ``response`` (B, 1, R, R) logits, ``labels`` the same of 0 and 1, ``weights`` the same (default:
    ``balance_weights``).
    """
    weights = balance_weights(labels) if weights is None else weights
    losses = F.binary_cross_entropy_with_logits(response.float(), labels, weight=weights, reduction="none")
    return losses.sum((1, 2, 3)).mean()
