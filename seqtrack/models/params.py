"""The parameters of SiamFC and how they are read from ``--model_params`` (no torch here).

A configuration is checked before any data is touched or any job submitted: names, types, ranges, and
(in ``geometry``) that its sizes give a response map at all. Every default is written here once;
``params_dict`` gives the complete nested dictionary that enters a run's identity.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from seqtrack.errors import UserError
from seqtrack.models import geometry

T = TypeVar("T", bound="Options")


def option(default: Any, *, low: float | None = None, high: float | None = None, choices: Iterable[str] = ()) -> Any:
    """A dataclass field with a default, an inclusive range and, for a string, its valid values."""
    return field(default=default, metadata={"low": low, "high": high, "choices": tuple(choices)})


@dataclass(frozen=True)
class Options:
    """Base of the parameter classes: every scalar field is checked on construction, however it is made.

    A ``UserError`` from here begins with the name of the field; ``parse_options`` puts the path before it.
    """

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            if spec.metadata and getattr(self, spec.name) is not None:
                value = _checked(spec.name, getattr(self, spec.name), spec.default, spec.metadata)
                object.__setattr__(self, spec.name, value)


def _checked(name: str, value: Any, default: Any, meta: Mapping[str, Any]) -> Any:
    kind = type(default)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and is_number and math.isfinite(value):
        value = float(value)
    elif kind is int and is_number and value == int(value):
        value = int(value)
    elif kind in (int, float) or not isinstance(value, kind):
        wanted = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a string"}[kind]
        raise UserError(f"{name}: expected {wanted}, got {value!r}")
    low, high, choices = meta["low"], meta["high"], meta["choices"]
    if choices and value not in choices:
        raise UserError(f"{name}: {value!r} is unknown{nearest(value, choices)}; valid: {', '.join(choices)}")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise UserError(f"{name}: expected {bounds}, got {value!r}")
    return value


def nearest(name: str, valid: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest valid name, or an empty string when none is close."""
    found = difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def parse_options(kind: type[T], value: Any, where: str) -> T:
    """Builds ``kind`` from a dictionary of its scalar fields; ``where`` begins every message."""
    return _build(kind, _known(kind, value, where), where)


def _known(kind: type[Options], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: expected an object {{...}}, got {value!r}")
    valid = [spec.name for spec in dataclasses.fields(kind)]
    for key in value:
        if key not in valid:
            raise UserError(f"{where}: unknown key {key!r}{nearest(key, valid)}; valid: {', '.join(valid)}")
    return dict(value)


def _build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    missing = [s.name for s in dataclasses.fields(kind) if values.get(s.name, 0) is None and s.default is not None]
    if missing:
        raise UserError(f"{where} {missing[0]}: null is no value for it; leave the key out for its default")
    try:
        return kind(**values)
    except UserError as error:
        raise UserError(f"{where} {error}") from None


@dataclass(frozen=True)
class AlexNetParams(Options):
    """The trunk of Bertinetto et al. 2016: five convolutions without padding, total stride 8.

    ``width`` multiplies the channels of every layer (rounded to multiples of 8): 1.0 is the paper's.
    """

    width: float = option(1.0, low=0.05, high=4.0)

    def channels(self) -> tuple[int, int, int, int, int]:
        """Output channels of conv1 … conv5."""
        a, b, c, d, e = (max(8, 8 * round(n * self.width / 8)) for n in (96, 256, 384, 384, 256))
        return a, b, c, d, e


@dataclass(frozen=True)
class ResNetParams(Options):
    """A residual trunk cut after ``num_blocks`` of its four stages.

    ``padding``: SAME pads as the classifier does; VALID pads nowhere, as SiamFC wants it.
    """

    num_blocks: int = option(2, low=1, high=4)
    padding: str = option("VALID", choices=("SAME", "VALID"))


@dataclass(frozen=True)
class SlimResNetParams(ResNetParams):
    """As ``ResNetParams``; TF-slim strides at the end of a block, so one block already has stride 8."""

    num_blocks: int = option(1, low=1, high=4)


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
class FeatureParams(Options):
    """The trunk: an architecture, its own parameters, how it wants 0..255 pixels normalised, and whether its
    features are batch-normalised (no learned scale) before they are correlated.
    """

    arch: str = option("alexnet", choices=ARCH_PARAMS)
    arch_params: AlexNetParams | ResNetParams = field(default_factory=AlexNetParams)
    normalize: str = option("imagenet", choices=NORMALIZATIONS)
    norm: bool = option(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.arch_params) is not ARCH_PARAMS[self.arch]:
            raise UserError(f"arch_params: {type(self.arch_params).__name__} does not fit arch {self.arch!r}")

    def layers(self) -> list[geometry.Layer]:
        """The trunk as a chain of sliding windows (the arithmetic of its sizes, without its weights)."""
        p = self.arch_params
        if isinstance(p, ResNetParams):
            return geometry.resnet_layers(self.arch, p.num_blocks, p.padding == "SAME")
        return geometry.alexnet_layers()


@dataclass(frozen=True)
class SiamFCParams(Options):
    """SiamFC. Sizes are pixels of the square crops; ``context`` is the margin around the target as a share
    of its mean side (paper: 0.5); positives of the loss lie within ``label_radius`` search pixels of the
    truth.

    ``out_scale`` multiplies the raw correlation. ``None`` means ``9.216 / (elements of the exemplar
    features)``, which is the 1e-3 of the published networks for 256 × 6 × 6 features and stays comparable
    for other trunks. A gain (initially 1) and a bias (initially 0) are learned on top.
    """

    template_size: int = option(127, low=16, high=1024)
    search_size: int = option(255, low=16, high=2048)
    feature_params: FeatureParams = field(default_factory=FeatureParams)
    feature_model_file: str | None = None
    context: float = option(0.5, low=0.0, high=4.0)
    label_radius: float = option(16.0, low=0.0)
    out_scale: float | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feature_model_file is not None and not isinstance(self.feature_model_file, str):
            raise UserError(f"feature_model_file: expected a path or null, got {self.feature_model_file!r}")
        if self.out_scale is not None:
            bounds = {"low": 1e-9, "high": 1e3, "choices": ()}
            object.__setattr__(self, "out_scale", _checked("out_scale", self.out_scale, 1.0, bounds))
        geometry.response_geometry(self.feature_params.layers(), self.template_size, self.search_size)

    def response(self) -> geometry.ResponseGeometry:
        """Size, stride and centre of the response map."""
        return geometry.response_geometry(self.feature_params.layers(), self.template_size, self.search_size)


def parse_model_params(model: str, value: Any, where: str = "--model_params") -> SiamFCParams:
    """The parameters of ``model`` from a (nested) dictionary such as ``--model_params`` gives.

    Raises ``UserError`` for an unknown model, an unknown key (naming the nearest valid one), a wrong type or
    range, and for sizes that give no response map.
    """
    if model != "siamfc":
        raise UserError(f"--model: {model!r} is unknown{nearest(model, ['siamfc'])}; valid: siamfc")
    values = _known(SiamFCParams, value, where)
    if "feature_params" in values:
        inner = f"{where} feature_params"
        features = _known(FeatureParams, values["feature_params"], inner)
        arch = features.get("arch", "alexnet")
        if not isinstance(arch, str) or arch not in ARCH_PARAMS:
            valid = ", ".join(ARCH_PARAMS)
            raise UserError(f"{inner}.arch: {arch!r} is unknown{nearest(arch, ARCH_PARAMS)}; valid: {valid}")
        features["arch_params"] = parse_options(
            ARCH_PARAMS[arch], features.get("arch_params", {}), f"{inner}.arch_params"
        )
        values["feature_params"] = _build(FeatureParams, features, inner)
    return _build(SiamFCParams, values, where)


def params_dict(params: Options) -> dict[str, Any]:
    """The complete nested dictionary, defaults included; ``parse_model_params`` of it gives ``params``
    again.
    """
    return dataclasses.asdict(params)
