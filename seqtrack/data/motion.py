"""Motion augmentation: where the search region is put when it is not centred on the target, and how large it is.

Without it the target lies in the middle of every search region, and a network may learn just that.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

from numpy.random import Generator

from seqtrack.errors import UserError

FLAG = "--motion_params"


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
        for name, most in (("translate", 1000.0), ("log_scale", 2.0)):
            value = getattr(self, name)
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
            if not good:
                raise UserError(f"{FLAG}: {name} must be a number from 0 to {most:g}, not {value!r}")


def parse_motion_params(value: Mapping[str, Any] | None = None) -> MotionParams:
    """Validated parameters from their JSON, defaults filled in; UserError names the wrong key or value."""
    if value is not None and not isinstance(value, Mapping):
        raise UserError(f'{FLAG}: expected a JSON object such as {{"translate": 32}}, not {value!r}')
    known = [field.name for field in fields(MotionParams)]
    for name in value or {}:
        if name not in known:
            close = get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UserError(f"{FLAG}: no parameter {name!r}{hint} (known: {', '.join(known)})")
    return MotionParams(**(value or {}))


def motion_dict(params: MotionParams) -> dict[str, Any]:
    """The complete parameters, defaults included, as `parse_motion_params` takes them."""
    return asdict(params)


def draw_motion(rng: Generator, params: MotionParams) -> tuple[float, float, float]:
    """(dx, dy, factor): the target's shift in search-crop pixels, and the factor on the search region's side."""
    dx, dy, scale = (2.0 * rng.random(3) - 1.0).tolist()
    return dx * params.translate, dy * params.translate, math.exp(scale * params.log_scale)
