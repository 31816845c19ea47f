"""Trunks by name, and the normalisation of pixels that each begins with."""

from __future__ import annotations

import torch
from torch import nn

from seqtrack.models import geometry
from seqtrack.models.alexnet import AlexNetTrunk
from seqtrack.models.params import NORMALIZATIONS, AlexNetParams, FeatureParams
from seqtrack.models.resnet import ResNetTrunk


class Normalize(nn.Module):
    """Pixels 0..255, uint8 or floating, to (x - mean) / std, computed in float32. Adds nothing to the state dict."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.output_type = torch.float32
        mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in NORMALIZATIONS[name])
        self.register_buffer("scale", (1 / std).float(), persistent=False)
        self.register_buffer("shift", (-mean / std).float(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.float32).mul(self.scale).add_(self.shift).to(self.output_type)


class Backbone(nn.Module):
    """(B, 3, H, W) pixels 0..255 → (B, out_channels, h, w) features, one cell every ``stride`` pixels.

    Weights are drawn from torch's global generator.
    """

    def __init__(self, params: FeatureParams) -> None:
        super().__init__()
        self.normalize = Normalize(params.normalize)
        arch_params = params.arch_params
        self.trunk: AlexNetTrunk | ResNetTrunk = (
            AlexNetTrunk(arch_params)
            if isinstance(arch_params, AlexNetParams)
            else ResNetTrunk(params.arch, arch_params)
        )
        # Without it the features share a large common part, and so do all cells of the response: training from
        # scratch then starts by unlearning that, slowly or, at a high rate, not at all. Not learned, so that weights
        # published without it track as they did (its initial statistics change nothing to speak of).
        channels = self.trunk.out_channels
        self.norm = nn.BatchNorm2d(channels, affine=False) if params.norm else nn.Identity()
        self.stride = geometry.total_stride(params.layers())
        self.out_channels = channels
        initialize(self.trunk)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.norm(self.trunk(self.normalize(x)))
        return features


def initialize(trunk: nn.Module) -> None:
    """He initialisation (fan out, as ResNet's authors and siamfc-pytorch do), zero biases, unit normalisation."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
