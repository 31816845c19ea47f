"""Motion augmentation: where the search region is put when it is not centred on the target, and how large it is.

Without it the target lies in the middle of every search region, and a network may learn just that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from seqtrack.schema import parse


@dataclass(frozen=True)
class MotionParams:
    """Ranges, each drawn uniformly and symmetric about none.

    translate: largest shift of the target from the middle of the search region, per axis, in pixels of the
    search crop.
    log_scale: largest logarithm of the ratio between the search region's side and what the target's size asks for.
    """

    translate: float = 32.0
    log_scale: float = 0.1

    def __post_init__(self) -> None:
        for name, most in (("translate", 1000), ("log_scale", 2)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name}: expected a number from 0 to {most}, got {getattr(self, name)}")


def parse_motion_params(value: Mapping[str, Any]) -> MotionParams:
    """Validated parameters from their JSON, defaults filled in; UserError names the wrong key or value."""
    return parse(MotionParams, value, "--motion_params")


def draw_motion(rng: Generator, params: MotionParams) -> tuple[float, float, float]:
    """(dx, dy, factor): the target's shift in search-crop pixels, and the factor on the search region's side."""
    dx, dy, scale = (2.0 * rng.random(3) - 1.0).tolist()
    return dx * params.translate, dy * params.translate, math.exp(scale * params.log_scale)
