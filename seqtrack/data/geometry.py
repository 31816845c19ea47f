"""Boxes and polygons: pure functions of arrays.

A box is ``x, y, width, height`` in pixels, 0-based and continuous: it covers ``[x, x + width) × [y, y +
height)``. Unless a name says otherwise, pixels are those of the original image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float64]


def _boxes(value: ArrayLike, columns: int = 4) -> Boxes:
    boxes = np.asarray(value, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != columns:
        raise ValueError(f"expected shape (N, {columns}), got {boxes.shape}")
    return boxes


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of continuous boxes, row by row.

    Args:
        a, b: (N, 4) x y w h. One of them may have a single row, which then meets every row of the other.

    Returns:
        (N,) in [0, 1]. Two boxes whose union has no area give 0; a NaN in either box gives NaN.
    """
    a, b = _boxes(a), _boxes(b)
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    # np.maximum propagates NaN, so an undefined box stays undefined instead of becoming a miss.
    inner = np.maximum(high - low, 0.0).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - inner
    result = np.zeros(np.broadcast_shapes(inner.shape, union.shape))
    np.divide(inner, union, out=result, where=union != 0)
    # x + w rounds, so a box met with itself may come out one unit in the last place above 1.
    return np.minimum(result, 1.0)


def centers(boxes: ArrayLike) -> NDArray[np.float64]:
    """(N, 2) x y of the central pixel, ``xy + (wh - 1) / 2`` as OTB's evaluation and pysot have it."""
    boxes = _boxes(boxes)
    centre: NDArray[np.float64] = boxes[:, :2] + (boxes[:, 2:] - 1.0) / 2.0
    return centre


def scale_boxes(boxes: ArrayLike, from_size: tuple[int, int], to_size: tuple[int, int]) -> Boxes:
    """Boxes (N, 4) of an image of ``from_size`` (width, height), in the pixels of it resized to ``to_size``."""
    ratio = (to_size[0] / from_size[0], to_size[1] / from_size[1])
    scaled: Boxes = np.asarray(boxes, dtype=np.float64) * np.array([*ratio, *ratio])
    return scaled


def polygon_hull(polygons: ArrayLike) -> Boxes:
    """Axis-aligned hulls (N, 4) x y w h of quadrilaterals (N, 8) ``x1 y1 … x4 y4``; NaN rows stay NaN."""
    corners = _boxes(polygons, columns=8).reshape(-1, 4, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    return np.concatenate([low, high - low], axis=1)
