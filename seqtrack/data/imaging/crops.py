"""Square crops around a target, and the exact mapping between frame and crop.

The context rule is SiamFC's (Bertinetto et al., "Fully-convolutional siamese networks for object tracking", 2016): a
square of side sqrt((w + p)(h + p)), p = context (w + h), becomes the exemplar.

The square is moved to whole pixels so that cropping is a slice and a resize (0.1 ms where a warp takes 0.45 ms); the
mapping returned is the one used, so nothing is lost in coordinates. What lies outside of the frame takes one colour.

Coordinates are continuous: pixel (i, j) covers [j, j+1) x [i, i+1), so the centre of a box is xy + wh / 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

_GREY = (128.0, 128.0, 128.0)


@dataclass(frozen=True)
class CropMap:
    """crop_xy = (frame_xy - [x0, y0]) * [scale_x, scale_y], edges of pixels to edges of pixels."""

    x0: float
    y0: float
    scale_x: float
    scale_y: float

    def to_crop(self, box: Sequence[float]) -> Box:
        """A box x y w h of the frame, in pixels of the crop."""
        x, y, w, h = box
        return (x - self.x0) * self.scale_x, (y - self.y0) * self.scale_y, w * self.scale_x, h * self.scale_y

    def to_frame(self, box: Sequence[float]) -> Box:
        """The inverse: a box of the crop, in pixels of the frame."""
        x, y, w, h = box
        return x / self.scale_x + self.x0, y / self.scale_y + self.y0, w / self.scale_x, h / self.scale_y


@dataclass(frozen=True)
class Square:
    """A square of whole pixels: columns left … left + side - 1, rows top … top + side - 1. May leave the frame."""

    left: int
    top: int
    side: int

    def map_to(self, out_size: int, shrink: int = 1) -> CropMap:
        """The mapping to a crop of `out_size` pixels from a frame of which this square's pixels are 1/shrink."""
        scale = out_size / (self.side * shrink)
        return CropMap(self.left * shrink, self.top * shrink, scale, scale)


def square_around(box: Sequence[float], context: float = 0.5) -> float:
    """Side of the exemplar's square around a box x y w h (the search region's: times search size / exemplar size)."""
    w, h = box[2], box[3]
    pad = context * (w + h)
    return math.sqrt((w + pad) * (h + pad))


def whole_square(cx: float, cy: float, side: float, multiple: int = 1) -> Square:
    """The square of whole pixels nearest to that of `side` around (cx, cy); its side is a multiple of `multiple`."""
    whole = max(1, math.floor(side / multiple + 0.5)) * multiple
    return Square(math.floor(cx - whole / 2 + 0.5), math.floor(cy - whole / 2 + 0.5), whole)


def mean_colour(image: Image) -> tuple[float, float, float]:
    """Mean of each channel. (cv2.mean: 0.2 ms for 1280x720, where np.mean takes 13 ms.)"""
    if image.size == 0:
        return _GREY
    red, green, blue, _ = cv2.mean(image)
    return red, green, blue


def crop(
    image: Image,
    cx: float,
    cy: float,
    side: float,
    out_size: int,
    fill: Sequence[float] | None = None,
    out: Image | None = None,
) -> tuple[Image, CropMap]:
    """The square of `side` pixels around (cx, cy), resized to (out_size, out_size, 3) uint8, and the mapping used.

    image: (H, W, 3) uint8. fill: the colour outside of the frame; by default the mean of the part of the square that
    lies inside. out: written to if given. A square k times larger than the crop, k one of 2 4 8, is first
    averaged over k x k pixels, so that nothing aliases; the rest is bilinear.
    """
    multiple = shrink_for(side, out_size)
    square = whole_square(cx, cy, side, multiple)
    return crop_square(image, square, out_size, fill, out, multiple), square.map_to(out_size)


def shrink_for(side: float, out_size: int) -> int:
    """The largest of 1, 2, 4, 8 by which a square of `side` pixels may shrink and still fill a crop of `out_size`."""
    for shrink in (8, 4, 2):
        if side >= shrink * out_size:
            return shrink
    return 1


def crop_square(
    image: Image,
    square: Square,
    out_size: int,
    fill: Sequence[float] | None = None,
    out: Image | None = None,
    shrink: int = 1,
) -> Image:
    """The pixels of `square`, averaged over shrink x shrink (the side must be a multiple), resized to `out_size`."""
    height, width = image.shape[:2]
    left, top, side = square.left, square.top, square.side
    x0, y0 = min(max(left, 0), width), min(max(top, 0), height)
    x1, y1 = max(min(left + side, width), x0), max(min(top + side, height), y0)
    patch = image[y0:y1, x0:x1]
    if patch.shape[0] != side or patch.shape[1] != side:
        # One row in four says enough about a colour.
        colour = mean_colour(patch[::4]) if fill is None else tuple(fill)
        if patch.size == 0:
            result = np.empty((out_size, out_size, 3), np.uint8) if out is None else out
            result[:] = np.rint(colour).astype(np.uint8)
            return result
        # Beyond the frame by x0 - left pixels on the left, and so on; the four lengths make a full square.
        margins = (y0 - top, top + side - y1, x0 - left, left + side - x1)
        rounded = [float(round(channel)) for channel in colour]
        patch = np.asarray(cv2.copyMakeBorder(patch, *margins, cv2.BORDER_CONSTANT, value=rounded), np.uint8)
    if shrink > 1:
        reduced = (side // shrink, side // shrink)
        patch = np.asarray(cv2.resize(patch, reduced, interpolation=cv2.INTER_AREA), np.uint8)
    size = (out_size, out_size)
    return np.asarray(cv2.resize(patch, size, dst=out, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
