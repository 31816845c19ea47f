"""Augmentation: how the crops of a pair are changed so that no two pairs look alike.

JSON of `--augment_params`; what is left out does nothing:

    {"exemplar": {"translate": 4, "log_scale": 0.05, "lighting": 1},
     "search": {"lighting": 1, "blur": 0.2, "flip": 0.1},
     "still": {"translate": 64, "log_scale": 0.17, "flip": 0.5},
     "grey": 0.25}

Where a crop is taken comes first (`translate`, `log_scale`; for the search region `--motion_params`). Then, on the
pixels of the crop, in this order: colour (greying or saturation, brightness, contrast, lighting: one matrix, rounded
once), blur, flip. The kinds of change are those of pysot and DaSiamRPN (Zhu et al. 2018, section 3.3) and, for
brightness, contrast and saturation, torchvision's.

Each pair takes the same count of random numbers whatever is switched on and whatever the pixels are, so that
changing one parameter changes one thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from seqtrack.data.sampling.motion import Motion, MotionParams, draw_motion
from seqtrack.schema import Checked, bounded, parse

FLAG = "--augment_params"
_BLUR_SIZE = 45

# Rows: principal axes of the colours (R, G, B in 0..255) of ImageNet VID's crops, a tenth of their deviation
# long; SiamFC's numbers, also pysot's. Those codes multiply by the transpose, which makes of it a noise of
# 1 in red and 8 in blue; along the axes, as in Krizhevsky et al. 2012 (section 4.1), it is mostly brightness.
_COLOUR_AXES = np.array(
    [
        [-0.55919361, 0.98062831, -0.41940627],
        [1.72091413, 0.19879334, -1.82968581],
        [4.64467907, 4.73710203, 4.88324118],
    ]
)


@dataclass(frozen=True)
class CropParams(Checked):
    """Changes of one crop. flip, grey, blur: probabilities.

    blur_size: greatest length in pixels of the two lines, across and down, whose weighted sum a blur is.
    brightness, contrast, saturation: factors are drawn from [1 - value, 1 + value]. lighting: deviation of the
    shift along the principal axes of colour; 1 is that of SiamFC and pysot.
    """

    flip: float = bounded(0.0, low=0, high=1)
    grey: float = bounded(0.0, low=0, high=1)
    blur: float = bounded(0.0, low=0, high=1)
    blur_size: int = bounded(_BLUR_SIZE, low=3, high=127)
    brightness: float = bounded(0.0, low=0, high=1)
    contrast: float = bounded(0.0, low=0, high=1)
    saturation: float = bounded(0.0, low=0, high=1)
    lighting: float = bounded(0.0, low=0, high=20)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blur == 0 and self.blur_size != _BLUR_SIZE:
            raise ValueError("blur_size: it says how long a blur is; give blur, its probability, too")


@dataclass(frozen=True)
class ExemplarParams(CropParams):
    """As the search crop's, and how far the exemplar is off its target: see `motion.MotionParams`."""

    translate: float = bounded(0.0, low=0, high=1000)
    log_scale: float = bounded(0.0, low=0, high=2)


@dataclass(frozen=True)
class StillParams(MotionParams):
    """Synthetic motion, in place of `--motion_params`, of a pair whose two crops are of one and the same frame
    (COCO, DET, tracks with one usable frame). flip: probability that the search crop is mirrored besides."""

    translate: float = bounded(0.0, low=0, high=1000)
    log_scale: float = bounded(0.0, low=0, high=2)
    flip: float = bounded(0.0, low=0, high=1)


@dataclass(frozen=True)
class AugmentParams(Checked):
    """grey, flip: probabilities that both crops of a pair are greyed, mirrored (mirrored twice is not mirrored)."""

    exemplar: ExemplarParams = ExemplarParams()
    search: CropParams = CropParams()
    still: StillParams = StillParams()
    grey: float = bounded(0.0, low=0, high=1)
    flip: float = bounded(0.0, low=0, high=1)


def parse_augment_params(value: Mapping[str, Any]) -> AugmentParams:
    """Validated parameters from their JSON; UserError names the wrong key or value."""
    return parse(AugmentParams, value, FLAG)


class Look(NamedTuple):
    """What happens to the pixels of one crop. `Look()` is nothing."""

    flip: bool = False
    grey: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    light: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added to R, G, B."""
    blur_length: int = 1
    """Pixels, odd; 1 is no blur."""
    blur_across: float = 0.5
    """Weight of the line across; the line down has the rest."""


class PairLooks(NamedTuple):
    """What happens to a pair. search_motion: None where `--motion_params` say."""

    exemplar_motion: Motion
    search_motion: Motion | None
    exemplar: Look
    search: Look


def draw_looks(rng: Generator, params: AugmentParams, is_still: bool) -> PairLooks:
    """is_still: whether both crops are of the same frame."""
    grey, flip, still_flip = rng.random(3).tolist()
    exemplar_motion = _moved(rng, params.exemplar)
    still_motion = draw_motion(rng, params.still)
    both_grey, both_flip = grey < params.grey, flip < params.flip
    exemplar = _draw_look(rng, params.exemplar, both_grey, both_flip)
    turned = both_flip != (is_still and still_flip < params.still.flip)
    search = _draw_look(rng, params.search, both_grey, turned)
    replaces = is_still and params.still != StillParams()
    return PairLooks(exemplar_motion, still_motion if replaces else None, exemplar, search)


def _moved(rng: Generator, params: ExemplarParams) -> Motion:
    return draw_motion(rng, MotionParams(params.translate, params.log_scale))


def _draw_look(rng: Generator, params: CropParams, grey: bool, flip: bool) -> Look:
    greyed, flipped, blurred, length, across, brightness, contrast, saturation = rng.random(8).tolist()
    light = params.lighting * (rng.standard_normal(3) @ _COLOUR_AXES)
    return Look(
        flip != (flipped < params.flip),
        grey or greyed < params.grey,
        1 + params.brightness * (2 * brightness - 1),
        1 + params.contrast * (2 * contrast - 1),
        1 + params.saturation * (2 * saturation - 1),
        tuple(light.tolist()),
        3 + 2 * int(length * ((params.blur_size - 1) // 2)) if blurred < params.blur else 1,
        across,
    )
