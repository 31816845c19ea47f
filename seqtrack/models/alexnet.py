"""The AlexNet-like trunk of SiamFC (Bertinetto et al. 2016, table 1).

Five convolutions without padding, batch normalisation and ReLU after all but the last, max-pooling 3/2
after the first two, two groups in conv2, conv4 and conv5. Parameters are named ``conv1.0.weight``,
``conv1.1.weight``, … as in siamfc-pytorch, so that its published weights load.
"""

from __future__ import annotations

import torch
from torch import nn

from seqtrack.models.params import AlexNetParams


def _unit(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, pool: bool = False
) -> nn.Sequential:
    # ReLU commutes with max-pooling; behind it, it runs forward and backward on a quarter of the cells.
    modules: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, groups=groups),
        nn.BatchNorm2d(outputs),
        *([nn.MaxPool2d(3, 2)] if pool else []),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*modules)


class AlexNetTrunk(nn.Module):
    """(B, 3, H, W) normalised image → (B, C, h, w) features, stride 8; 127 → 6, 255 → 22."""

    def __init__(self, params: AlexNetParams) -> None:
        super().__init__()
        a, b, c, d, e = params.channels()
        self.conv1 = _unit(3, a, 11, 2, pool=True)
        self.conv2 = _unit(a, b, 5, groups=2, pool=True)
        self.conv3 = _unit(b, c, 3)
        self.conv4 = _unit(c, d, 3, groups=2)
        self.conv5 = nn.Sequential(nn.Conv2d(d, e, 3, groups=2))
        self.out_channels = e

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv2(self.conv1(x))
        features: torch.Tensor = self.conv5(self.conv4(self.conv3(x)))
        return features
