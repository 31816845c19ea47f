"""Residual trunks, cut after a number of stages: torchvision's ResNets and TF-slim's ``resnet_v1_50``.

One implementation serves both, because they differ in two things only: the unit of a stage that strides
(torchvision the first, slim the last) and the padding of the root's pooling. Parameters have torchvision's
names, so its weights load into either; shapes agree because a unit's stride is no part of them.

``padding: VALID`` pads nowhere. A unit's windows then eat a margin, so its shortcut is cropped to the cells
that the windows are centred on; features stay aligned with the image and free of the border's influence.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from seqtrack.models import geometry
from seqtrack.models.params import ResNetParams

_WIDTHS = (64, 128, 256, 512)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, same: bool = True) -> nn.Conv2d:
    # slim's conv2d_same pads a strided convolution by (k - 1) // 2 on either side: the same as this.
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2 if same else 0, bias=False)


class _Unit(nn.Module):
    """A residual unit; subclasses give the main path and the crop that aligns the shortcut with it."""

    expansion: int
    downsample: nn.Module | None

    def __init__(self, inputs: int, width: int, stride: int, crop: int) -> None:
        super().__init__()
        self.stride, self.crop = stride, crop
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if inputs != width * self.expansion:
            outputs = width * self.expansion
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def main(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.main(x)
        # The 1×1 shortcut commutes with taking every stride-th cell, so it runs on the cells that remain.
        shortcut = x
        if self.crop or self.stride > 1:
            shortcut = x[:, :, self.crop :: self.stride, self.crop :: self.stride][:, :, : y.shape[2], : y.shape[3]]
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)
        out: torch.Tensor = self.relu(y + shortcut)
        return out


class BasicUnit(_Unit):
    """Two 3×3 convolutions, the first one strided (ResNet-18 and -34)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, same: bool) -> None:
        # Without padding, output cell 0 is centred on input cell 1 (first 3×3) + stride (second).
        super().__init__(inputs, width, stride, 0 if same else 1 + stride)
        self.conv1 = _conv(inputs, width, 3, stride, same)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, 1, same)
        self.bn2 = nn.BatchNorm2d(width)

    def main(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        out: torch.Tensor = self.bn2(self.conv2(y))
        return out


class Bottleneck(_Unit):
    """1×1, 3×3 (strided, as in slim and torchvision), 1×1 (ResNet-50)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, same: bool) -> None:
        super().__init__(inputs, width, stride, 0 if same else 1)
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, same)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)

    def main(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        out: torch.Tensor = self.bn3(self.conv3(y))
        return out


class _TFSamePool(nn.Module):
    """Max-pooling 3×3, stride 2, padded as TensorFlow's SAME does (after only, where the input is even)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pool = geometry.Layer("pool1", 3, 2, tf_same=True)
        (top, bottom), (left, right) = pool.padding(x.shape[2]), pool.padding(x.shape[3])
        return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-float("inf")), 3, 2)


class ResNetTrunk(nn.Module):
    """(B, 3, H, W) normalised image → (B, C, h, w) features of the last stage kept, after its ReLU."""

    def __init__(self, arch: str, params: ResNetParams) -> None:
        super().__init__()
        unit: type[BasicUnit] | type[Bottleneck] = BasicUnit if arch in geometry.BASIC else Bottleneck
        same = params.padding == "SAME"
        self.conv1 = _conv(3, 64, 7, 2, same)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        slim_pool = same and arch.startswith("slim_")
        self.maxpool: nn.Module = _TFSamePool() if slim_pool else nn.MaxPool2d(3, 2, 1 if same else 0)
        channels = 64
        self._stages: list[str] = []
        for stage in range(params.num_blocks):
            units: list[nn.Module] = []
            for stride in geometry.unit_strides(arch, stage):
                units.append(unit(channels, _WIDTHS[stage], stride, same))
                channels = _WIDTHS[stage] * unit.expansion
            self._stages.append(f"layer{stage + 1}")
            self.add_module(self._stages[-1], nn.Sequential(*units))
        self.out_channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self._stages:
            x = self.get_submodule(name)(x)
        return x
