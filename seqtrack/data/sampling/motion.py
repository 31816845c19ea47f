"""Motion augmentation: where the search region is put when it is not centred on the target, and how large it is.

Without it the target lies in the middle of every search region, and a network may learn just that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from seqtrack.schema import Checked, bounded, parse


@dataclass(frozen=True)
class MotionParams(Checked):
    """Ranges, each drawn uniformly and symmetric about none.

    translate: largest shift of the target from the middle of the search region, per axis, in pixels of the
    search crop.
    log_scale: largest logarithm of the ratio between the search region's side and what the target's size asks for.
    """

    translate: float = bounded(32.0, low=0, high=1000)
    log_scale: float = bounded(0.1, low=0, high=2)

    def reach(self, search_size: int) -> float:
        """Side of the square about the target that holds every region that may be drawn / side of the unmoved one."""
        return math.exp(self.log_scale) * (1 + 2 * self.translate / search_size)


def parse_motion_params(value: Mapping[str, Any]) -> MotionParams:
    """Validated parameters from their JSON, defaults filled in; UserError names the wrong key or value."""
    return parse(MotionParams, value, "--motion_params")


Motion = tuple[float, float, float]
NO_MOTION: Motion = (0.0, 0.0, 1.0)


def draw_motion(rng: Generator, params: MotionParams) -> Motion:
    """(dx, dy, factor): the target's shift in search-crop pixels, and the factor on the search region's side."""
    dx, dy, scale = (2.0 * rng.random(3) - 1.0).tolist()
    return dx * params.translate, dy * params.translate, math.exp(scale * params.log_scale)
