"""SiamFC (Bertinetto et al., "Fully-Convolutional Siamese Networks for Object Tracking", 2016).

One trunk embeds the exemplar and the search region; their cross-correlation is the response map: cell (i, j) is
the logit of the target's being displaced by ((j, i) - response_center) * stride search pixels (x, y).
"""

from __future__ import annotations

import torch
from torch import nn

from seqtrack.models.backbones import Backbone
from seqtrack.models.correlation import cross_correlation
from seqtrack.models.geometry import output_size
from seqtrack.models.params import SiamFCParams


class SiamFC(nn.Module):
    """``stride`` px and ``response_size`` cells describe the response map; weights lie in channels_last.

    Weights are drawn from torch's global generator: seed it first for a reproducible start.
    """

    def __init__(self, params: SiamFCParams | None = None) -> None:
        super().__init__()
        self.params = params or SiamFCParams()
        self.features = Backbone(self.params.feature_params)
        response = self.params.response()
        self.stride = response.stride
        self.response_size = response.size
        self.response_center = response.center
        self.out_scale = self._scale()
        self.gain = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))
        self.to(memory_format=torch.channels_last)

    def _scale(self) -> float:
        if self.params.out_scale is not None:
            return self.params.out_scale
        side = output_size(self.params.feature_params.layers(), self.params.template_size)
        return 9.216 / (side * side * self.features.out_channels)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) uint8 or float pixels 0..255, in any memory format → (B, C, h, w) features."""
        features: torch.Tensor = self.features(x.contiguous(memory_format=torch.channels_last))
        return features

    def correlate(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B or 1, C, h, w), (B, C, H, W) features → (B, 1, R, R) response map of logits, float32."""
        return cross_correlation(z, x) * (self.gain * self.out_scale) + self.bias

    def forward(self, exemplar: torch.Tensor, search: torch.Tensor) -> torch.Tensor:
        """(B, 3, template_size, template_size) and (B, 3, search_size, search_size) → (B, 1, R, R) logits."""
        return self.correlate(self.embed(exemplar), self.embed(search))
