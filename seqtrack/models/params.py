"""The parameters of SiamFC and how they are read from ``--model_params`` (no torch here).

A configuration is checked before any data is touched or any job submitted: names, types and ranges
(``seqtrack.schema``), and that its sizes give a response map at all (``geometry``). Every default is written
here once; ``schema.plain`` gives the complete nested dictionary that enters a run's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seqtrack.models import geometry
from seqtrack.schema import Checked, bounded, chosen_by, lookup, parse


@dataclass(frozen=True)
class AlexNetParams(Checked):
    """The trunk of Bertinetto et al. 2016: five convolutions without padding, total stride 8.

    ``width`` multiplies the channels of every layer (rounded to multiples of 8): 1.0 is the paper's.
    """

    width: float = bounded(1.0, low=0.05, high=4)

    def channels(self) -> tuple[int, int, int, int, int]:
        """Output channels of conv1 … conv5."""
        a, b, c, d, e = (max(8, 8 * round(n * self.width / 8)) for n in (96, 256, 384, 384, 256))
        return a, b, c, d, e


@dataclass(frozen=True)
class ResNetParams(Checked):
    """A residual trunk cut after ``num_blocks`` of its four stages.

    ``padding``: SAME pads as the classifier does; VALID pads nowhere, as SiamFC wants it.
    """

    num_blocks: int = bounded(2, low=1, high=4)
    padding: Literal["SAME", "VALID"] = "VALID"


@dataclass(frozen=True)
class SlimResNetParams(ResNetParams):
    """As ``ResNetParams``; TF-slim strides at the end of a block, so one block already has stride 8."""

    num_blocks: int = bounded(1, low=1, high=4)


ARCH_PARAMS: Mapping[str, type[AlexNetParams | ResNetParams]] = {
    "alexnet": AlexNetParams,
    "resnet18": ResNetParams,
    "resnet34": ResNetParams,
    "resnet50": ResNetParams,
    "slim_resnet_v1_50": SlimResNetParams,
}

NORMALIZATIONS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    # name -> (mean, std) of R, G, B on the scale 0..255
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),  # torchvision's models
    "vgg": ((123.68, 116.78, 103.94), (1.0, 1.0, 1.0)),  # TF-slim's vgg_preprocessing, used by its ResNet v1
    "raw": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # siamfc-pytorch and the MATLAB code
}


@dataclass(frozen=True)
class FeatureParams(Checked):
    """The trunk: an architecture, its own parameters, how it wants 0..255 pixels normalised, and whether its
    features are batch-normalised (no learned scale) before they are correlated.
    """

    arch: str = "alexnet"
    arch_params: AlexNetParams | ResNetParams = chosen_by("arch", ARCH_PARAMS, AlexNetParams)
    normalize: str = bounded("imagenet", choices=NORMALIZATIONS)
    norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.arch_params) is not ARCH_PARAMS.get(self.arch):
            raise ValueError(f"arch_params: {type(self.arch_params).__name__} does not fit arch {self.arch!r}")

    def layers(self) -> list[geometry.Layer]:
        """The trunk as a chain of sliding windows (the arithmetic of its sizes, without its weights)."""
        p = self.arch_params
        if isinstance(p, ResNetParams):
            return geometry.resnet_layers(self.arch, p.num_blocks, p.padding == "SAME")
        return geometry.alexnet_layers()


@dataclass(frozen=True)
class SiamFCParams(Checked):
    """SiamFC. Sizes are pixels of the square crops; ``context`` is the margin around the target as a share of its
    mean side (paper: 0.5); positives of the loss lie within ``label_radius`` search pixels of the truth.

    ``out_scale`` multiplies the raw correlation. ``None`` means ``9.216 / (elements of the exemplar
    features)``, which is the 1e-3 of the published networks for 256 × 6 × 6 features and stays comparable
    for other trunks. A gain (initially 1) and a bias (initially 0) are learned on top.
    """

    template_size: int = bounded(127, low=16, high=1024)
    search_size: int = bounded(255, low=16, high=2048)
    feature_params: FeatureParams = field(default_factory=FeatureParams)
    feature_model_file: str | None = None
    context: float = bounded(0.5, low=0, high=4)
    label_radius: float = bounded(16.0, low=0)
    out_scale: float | None = bounded(None, low=1e-9, high=1e3)

    def __post_init__(self) -> None:
        super().__post_init__()
        geometry.response_geometry(self.feature_params.layers(), self.template_size, self.search_size)

    def response(self) -> geometry.ResponseGeometry:
        """Size, stride and centre of the response map."""
        return geometry.response_geometry(self.feature_params.layers(), self.template_size, self.search_size)


def parse_model_params(model: str, value: Any) -> SiamFCParams:
    """The parameters of ``model`` from the (nested) dictionary of ``--model_params``.

    UserError for an unknown model or key (naming the nearest), a wrong type or range, and for sizes that give no
    response map.
    """
    return parse(lookup({"siamfc": SiamFCParams}, model, "--model"), value, "--model_params")
