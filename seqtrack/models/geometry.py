"""The arithmetic of sliding-window networks: sizes, strides and where a response cell lies in the image.

A trunk is a chain of layers (kernel, stride, padding). From that alone follow the size of its features,
the size of the response map, and the displacement of the target that each response cell stands for. No
torch: a configuration is refused before anything heavy is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One convolution or pooling. ``pad`` is per side; ``tf_same`` pads as TensorFlow's SAME does instead."""

    name: str
    kernel: int
    stride: int = 1
    pad: int = 0
    tf_same: bool = False

    def padding(self, size: int) -> tuple[int, int]:
        """Padding before and after an input of ``size``."""
        if not self.tf_same:
            return self.pad, self.pad
        total = max(0, (-(-size // self.stride) - 1) * self.stride + self.kernel - size)
        return total // 2, total - total // 2

    def output_size(self, size: int) -> int:
        """Positions that the window takes on an input of ``size``; below 1 where it does not fit."""
        return (size + sum(self.padding(size)) - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class ResponseGeometry:
    """``size`` cells a side, ``stride`` search pixels apart; ``center`` is the (fractional) cell of no motion."""

    size: int
    stride: int
    center: float


def alexnet_layers() -> list[Layer]:
    """Bertinetto et al. 2016, table 1."""
    return [
        Layer("conv1", 11, 2), Layer("pool1", 3, 2), Layer("conv2", 5), Layer("pool2", 3, 2),
        Layer("conv3", 3), Layer("conv4", 3), Layer("conv5", 3),
    ]  # fmt: skip


# Units in each of the four stages, and whether a unit is a bottleneck (one 3×3) or basic (two).
RESNET_UNITS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
RESNET_UNITS["slim_resnet_v1_50"] = RESNET_UNITS["resnet50"]
BASIC = frozenset({"resnet18", "resnet34"})


def unit_strides(arch: str, stage: int) -> list[int]:
    """Stride of each unit of ``stage`` (0-based).

    torchvision strides in the first unit of stages 1, 2, 3. TF-slim (``resnet_v1_50``) strides in the last
    unit of stages 0, 1, 2, and its last stage has none.
    """
    strides = [1] * RESNET_UNITS[arch][stage]
    if arch.startswith("slim_"):
        strides[-1] = 1 if stage == 3 else 2
    else:
        strides[0] = 1 if stage == 0 else 2
    return strides


def resnet_layers(arch: str, num_blocks: int, same: bool) -> list[Layer]:
    """The windows of a residual trunk of ``num_blocks`` stages; 1×1 convolutions and shortcuts add none."""
    pool_same = same and arch.startswith("slim_")
    layers = [
        Layer("conv1", 7, 2, 3 if same else 0),
        Layer("pool1", 3, 2, 1 if same and not pool_same else 0, tf_same=pool_same),
    ]
    for stage in range(num_blocks):
        for unit, stride in enumerate(unit_strides(arch, stage)):
            name = f"layer{stage + 1}.{unit}"
            layers.append(Layer(name, 3, stride, int(same)))
            if arch in BASIC:
                layers.append(Layer(name, 3, 1, int(same)))
    return layers


def total_stride(layers: Sequence[Layer]) -> int:
    """Input pixels from one output cell to the next."""
    stride = 1
    for layer in layers:
        stride *= layer.stride
    return stride


def output_size(layers: Sequence[Layer], size: int) -> int:
    """Side of the features of a ``size`` × ``size`` image, 0 where a layer's window no longer fits."""
    for layer in layers:
        size = layer.output_size(size)
        if size < 1:
            return 0
    return size


def first_center(layers: Sequence[Layer], size: int) -> float:
    """Centre of the receptive field of output cell 0, in pixels of the input (edge of the image = 0)."""
    center, stride = 0.5, 1
    for layer in layers:
        center += ((layer.kernel - 1) / 2 - layer.padding(size)[0]) * stride
        stride *= layer.stride
        size = layer.output_size(size)
    return center


def response_geometry(layers: Sequence[Layer], template_size: int, search_size: int) -> ResponseGeometry:
    """What correlating exemplar features with search features gives.

    Cell i places the exemplar's features at cell i of the search features, so it stands for a target
    displaced by ``(i - center) * stride`` search pixels. ``center`` follows from the receptive fields and
    not from the size of the map: with padding or odd sizes the two differ by a fraction of a cell. Raises
    ValueError, beginning with the name of the size, where there is no map.
    """
    exemplar, search = output_size(layers, template_size), output_size(layers, search_size)
    if exemplar < 1 or search < 1:
        name, size = ("template_size", template_size) if exemplar < 1 else ("search_size", search_size)
        raise ValueError(
            f"{name}: {size} is too small for this trunk: no features are left; its smallest is {smallest(layers)}"
        )
    if search <= exemplar:
        raise ValueError(
            f"search_size: {search_size} gives {search}×{search} features, template_size {template_size} "
            f"{exemplar}×{exemplar}: no response map; make the search larger than the template"
        )
    stride = total_stride(layers)
    shift = first_center(layers, search_size) - first_center(layers, template_size)
    center = ((search_size - template_size) / 2 - shift) / stride
    return ResponseGeometry(search - exemplar + 1, stride, center)


def smallest(layers: Sequence[Layer]) -> int:
    """The smallest input side that leaves one cell of features."""
    size = 1
    while output_size(layers, size) < 1:
        size += 1
    return size
