"""What is hard about a sequence: the attributes that a benchmark publishes, or those that its labels tell.

A benchmark's own are taken as they are where labels carry them (``Labels.attributes``; VOT's tags per frame, which a
sequence has where any frame does). Otherwise each is computed from boxes and presence alone, by the definitions in
``ATTRIBUTES``. They are those that OTB (Wu, Lim, Yang, TPAMI 2015), UAV123 (Mueller et al., ECCV 2016) and LaSOT
(Fan et al., CVPR 2019) print, with the limits written out; what people judged there by eye (blur, clutter, occlusion)
is not guessed.

Pure functions. A change is measured against the first box that the target has, as the benchmarks do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.scores import Bools, Floats, Labels

CHANGE = 2.0
LOW_RESOLUTION_PX = 400.0
SMALL_SHARE = 0.01
LONG_FRAMES = 1000


@dataclass(frozen=True)
class Attribute:
    """``holds(labels, boxes)``: boxes (N, 4) are the rows in view that have an area, N > 0."""

    name: str
    definition: str
    holds: Callable[[Labels, Floats], bool]


@dataclass(frozen=True)
class AttributeTable:
    """name -> (S,) bool, which sequences of a set have it; ``published`` by the benchmark, or computed."""

    members: Mapping[str, Bools]
    published: bool

    def definition(self, name: str) -> str:
        return "" if self.published or name not in ATTRIBUTES else ATTRIBUTES[name].definition


def _scale_change(labels: Labels, boxes: Floats) -> bool:
    return _leaves(boxes[:, 2] * boxes[:, 3])


def _aspect_change(labels: Labels, boxes: Floats) -> bool:
    return _leaves(boxes[:, 2] / boxes[:, 3])


def _fast_motion(labels: Labels, boxes: Floats) -> bool:
    seen = _usable(labels)
    steps = np.linalg.norm(np.diff(labels.boxes[:, :2] + labels.boxes[:, 2:] / 2, axis=0), axis=1)
    sides = np.sqrt(np.maximum(labels.boxes[:-1, 2] * labels.boxes[:-1, 3], 0.0))
    both = seen[1:] & seen[:-1]
    return bool((steps[both] > sides[both]).any())


def _low_resolution(labels: Labels, boxes: Floats) -> bool:
    return bool((boxes[:, 2] * boxes[:, 3] < LOW_RESOLUTION_PX).any())


def _small_target(labels: Labels, boxes: Floats) -> bool:
    if labels.size is None:
        return False
    return float(np.median(boxes[:, 2] * boxes[:, 3])) < SMALL_SHARE * labels.size[0] * labels.size[1]


def _absence(labels: Labels, boxes: Floats) -> bool:
    return not labels.present.all()


def _long(labels: Labels, boxes: Floats) -> bool:
    return len(labels.present) > LONG_FRAMES


ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(
    {
        attribute.name: attribute
        for attribute in (
            Attribute("scale change", "the box's area leaves [1/2, 2] times that of the first", _scale_change),
            Attribute(
                "aspect-ratio change", "width / height leaves [1/2, 2] times that of the first box", _aspect_change
            ),
            Attribute(
                "fast motion",
                "from one row to the next the centre moves by more than the box's side, sqrt(width height)",
                _fast_motion,
            ),
            Attribute("low resolution", "a box has less than 400 px", _low_resolution),
            Attribute("small target", "the median box covers less than 1 % of the image", _small_target),
            Attribute("absence", "the target is out of view in some frame", _absence),
            Attribute("long", "more than 1000 frames", _long),
        )
    }
)


def computed(labels: Labels) -> tuple[str, ...]:
    """Names of ``ATTRIBUTES`` that hold, in their order; none where the target never has a box with an area."""
    boxes = labels.boxes[_usable(labels)]
    if not len(boxes):
        return ()
    return tuple(name for name, attribute in ATTRIBUTES.items() if attribute.holds(labels, boxes))


def published(labels: Labels) -> tuple[str, ...]:
    """What the benchmark says of the sequence, then its tags that some frame has."""
    tags = (name for name, frames in labels.tags.items() if np.any(frames))
    return tuple(dict.fromkeys((*labels.attributes, *tags)))


def attribute_table(labels: Sequence[Labels]) -> AttributeTable:
    """Of a whole set. An attribute that no sequence has is left out; published ones are in order of their names."""
    names = [published(one) for one in labels]
    is_published = any(names)
    if not is_published:
        names = [computed(one) for one in labels]
    there = {name for found in names for name in found}
    order = sorted(there) if is_published else [name for name in ATTRIBUTES if name in there]
    return AttributeTable({name: _flags(name in found for found in names) for name in order}, is_published)


def _flags(values: object) -> NDArray[np.bool_]:
    return np.array(list(values), np.bool_)  # type: ignore[call-overload]


def _usable(labels: Labels) -> Bools:
    """(T,) rows in view that have an area."""
    with np.errstate(invalid="ignore"):
        sized = np.isfinite(labels.boxes).all(axis=1) & (labels.boxes[:, 2:] > 0).all(axis=1)
    return np.asarray(labels.present & sized)


def _leaves(values: Floats) -> bool:
    ratios = values / values[0]
    return bool(((ratios > CHANGE) | (ratios < 1 / CHANGE)).any())
