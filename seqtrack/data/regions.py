"""Overlap of boxes and polygons counted in pixels, as VOT's tools count it. Pure functions of arrays.

A region is a row of numbers: a box ``x, y, width, height`` or a polygon ``x1, y1, x2, y2, …`` of at least three
corners, in pixels of the original image. Rows of different lengths share an array by NaN behind the shorter ones.

Two programs are in use and differ by a pixel here and there, so a ``rule`` says whose count it is:

- ``pysot``: the C code of TraX as pysot carries it (and VOT's Matlab toolkit called it). float32; corners are rounded
  half away from zero; a box covers ``round(x) … round(x + width)``, both ends included.
- ``vot``: vot-toolkit 0.9's own. Numbers are rounded half to even, width and height on their own; a box covers
  ``round(x) … round(x) + round(width) - 1``.

In both, a row of pixels is filled between the points where the edges cross it, ends included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RULES = ("pysot", "vot")

# Pixels handled at once: what stays in a core's cache. Ten times more or less costs a third of the speed.
_BLOCK = 1 << 14
# No image is larger; up to here float32 holds every integer, and nothing overflows.
_FAR = float(1 << 23)


def overlaps(first: ArrayLike, second: ArrayLike, last: ArrayLike | None = None, rule: str = "pysot") -> Floats:
    """Intersection over union of regions, row by row, in pixels of the image.

    Args:
        first, second: (N, K) regions.
        last: the last column and row (x, y) that exist, (2,) or (N, 2): ``(width - 1, height - 1)`` for an image,
            infinite where its size is not known. None: the plane has no end on any side.
        rule: one of ``RULES``.

    Returns:
        (N,) in [0, 1]; NaN where a row is no region (any number of it is NaN), and under ``pysot`` where neither
        region covers a pixel: 0 / 0, as there. Regions whose hulls share no more than a border give 0 under
        ``pysot``, regions both in one row or column of pixels give 1 under ``vot``: as there.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}; expected one of {', '.join(RULES)}")
    a, b = (np.atleast_2d(np.asarray(regions, np.float64)) for regions in (first, second))
    if len(a) != len(b):
        raise ValueError(f"expected as many regions on both sides, got {len(a)} and {len(b)}")
    ends = np.broadcast_to(np.minimum(np.inf if last is None else np.asarray(last, np.float64), _FAR), (len(a), 2))
    starts = np.full(ends.shape, -_FAR if last is None else 0.0)
    result = np.full(len(a), np.nan)
    kinds_a, kinds_b = numbers(a), numbers(b)
    for kind_a, kind_b in {*zip(kinds_a.tolist(), kinds_b.tolist(), strict=True)}:
        if kind_a and kind_b:
            at = np.flatnonzero((kinds_a == kind_a) & (kinds_b == kind_b))
            measure = _overlaps_pysot if rule == "pysot" else _overlaps_vot
            result[at] = measure(a[at, :kind_a], b[at, :kind_b], starts[at], ends[at])
    return result


def numbers(regions: Floats) -> NDArray[np.int64]:
    """How many numbers describe each region of (N, K): 4 for a box, 6, 8, … for a polygon, 0 where it is none."""
    known = np.isfinite(regions)
    count = known.sum(axis=1)
    is_region = (count >= 4) & (count % 2 == 0) & (np.logical_and.accumulate(known, axis=1).sum(axis=1) == count)
    return np.where(is_region, count, 0)


def hulls(regions: ArrayLike) -> Floats:
    """(N, 4) axis-aligned boxes x y w h around regions (N, K); NaN where a row is none."""
    rows = np.atleast_2d(np.asarray(regions, np.float64))
    kinds = numbers(rows)
    boxes = np.full((len(rows), 4), np.nan)
    boxes[kinds == 4] = rows[kinds == 4, :4]
    many = kinds > 4
    if many.any():
        corners = rows[many].reshape(int(many.sum()), -1, 2)
        low, high = np.nanmin(corners, axis=1), np.nanmax(corners, axis=1)
        boxes[many] = np.concatenate([low, high - low], axis=1)
    return boxes


@dataclass(frozen=True)
class _Pixels:
    """N regions of one kind on grids of pixels whose origin is (0, 0).

    corners: (N, V, 2) integral x y; for a box its first and its last pixel (V = 2), the last before the first where
    it is empty.
    """

    corners: Floats

    @property
    def is_box(self) -> bool:
        return bool(self.corners.shape[1] == 2)

    def rows(self, height: Floats) -> tuple[Floats, Floats]:
        """The first and last row (N,) that the region has in a grid of so many rows."""
        y = self.corners[:, :, 1]
        return np.maximum(y.min(axis=1), 0.0), np.minimum(y.max(axis=1), height - 1)

    def __getitem__(self, at: NDArray[np.intp]) -> _Pixels:
        return _Pixels(self.corners[at])


def _overlaps_pysot(a: Floats, b: Floats, starts: Floats, ends: Floats) -> Floats:
    corners = [_corners(regions).astype(np.float32) for regions in (a, b)]
    low = [np.maximum(np.floor(c.min(axis=1)), starts) for c in corners]
    high = [np.minimum(np.ceil(c.max(axis=1)), ends) for c in corners]
    origin = np.minimum(*low)
    size = np.maximum(*high) - origin + 1
    areas = [(end - start).prod(axis=1) for start, end in zip(low, high, strict=True)]
    common = (np.minimum(*high) - np.maximum(*low)).prod(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = areas[0] / areas[1]
        # Written so that what is NaN (0 / 0) goes on to be counted, as it does there.
        is_apart = (common / (areas[0] + areas[1] - common) <= 0) | (ratio < 1e-10) | (1 / ratio < 1e-10)
    is_apart |= (size < 1).any(axis=1)
    result = np.zeros(len(a))
    at = np.flatnonzero(~is_apart)
    offset = origin[at, None].astype(np.float32)
    pixels = [
        _pixels_pysot(c[at] - offset, regions.shape[1] == 4) for c, regions in zip(corners, (a, b), strict=True)
    ]
    inner, union = _count(pixels[0], pixels[1], size[at], "pysot")
    with np.errstate(invalid="ignore"):
        result[at] = inner.astype(np.float32) / union.astype(np.float32)
    return result


def _overlaps_vot(a: Floats, b: Floats, starts: Floats, ends: Floats) -> Floats:
    pixels = [_pixels_vot(regions) for regions in (a, b)]
    low = np.minimum(*(p.corners[:, 0] if p.is_box else p.corners.min(axis=1) for p in pixels))
    high = np.maximum(*(p.corners[:, 1] if p.is_box else p.corners.max(axis=1) for p in pixels))
    result = np.where((low >= high).any(axis=1), 1.0, 0.0)
    origin, end = np.maximum(low, starts), np.minimum(high, ends)
    at = np.flatnonzero((low < high).all(axis=1) & (origin < end).all(axis=1))
    grids = [_Pixels(p.corners[at] - origin[at, None]) for p in pixels]
    inner, union = _count(grids[0], grids[1], end[at] - origin[at] + 1, "vot")
    result[at] = np.divide(inner, union, out=np.zeros(len(at)), where=union > 0)
    return result


def _corners(regions: Floats) -> Floats:
    """(N, V, 2) corners of regions of one kind, a box's in order round it."""
    regions = np.clip(regions, -_FAR, _FAR)
    if regions.shape[1] > 4:
        return regions.reshape(len(regions), -1, 2)
    x, y, right, bottom = regions[:, 0], regions[:, 1], regions[:, 0] + regions[:, 2], regions[:, 1] + regions[:, 3]
    return np.stack([x, y, right, y, right, bottom, x, bottom], axis=1).reshape(-1, 4, 2)


def _pixels_pysot(corners: NDArray[np.float32], is_box: bool) -> _Pixels:
    exact = corners.astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
    if not is_box:
        return _Pixels(rounded)
    first, last = rounded.min(axis=1), rounded.max(axis=1)
    # A polygon without width or height crosses no row in two points and covers nothing.
    last = np.where((first < last).all(axis=1)[:, None], last, first - 1)
    return _Pixels(np.stack([first, last], axis=1))


def _pixels_vot(regions: Floats) -> _Pixels:
    rounded = np.round(np.clip(regions, -_FAR, _FAR).astype(np.float32)).astype(np.float64)
    if regions.shape[1] > 4:
        return _Pixels(rounded.reshape(len(regions), -1, 2))
    return _Pixels(np.stack([rounded[:, :2], rounded[:, :2] + rounded[:, 2:] - 1], axis=1))


def _count(a: _Pixels, b: _Pixels, size: Floats, rule: str) -> tuple[Floats, Floats]:
    """Pixels (N,) in both and in either of two lots of regions, on grids of ``size`` (N, 2): columns, rows."""
    if a.is_box and b.is_box:
        inner = _area(
            np.maximum(a.corners[:, 0], b.corners[:, 0]), np.minimum(a.corners[:, 1], b.corners[:, 1]), size
        )
        return inner, _area(*_ends(a), size) + _area(*_ends(b), size) - inner
    rows = [p.rows(size[:, 1]) for p in (a, b) if not p.is_box]
    top, bottom = np.minimum.reduce([r[0] for r in rows]), np.maximum.reduce([r[1] for r in rows])
    inner, total = np.zeros(len(size)), sum((_area(*_ends(p), size) for p in (a, b) if p.is_box), np.zeros(len(size)))
    for at, height in _blocks(bottom - top + 1):
        row = top[at, None] + np.arange(height)
        spans = [list(_spans(p[at], row, size[at, :1], size[at, 1:], rule)) for p in (a, b)]
        for p, found in zip((a, b), spans, strict=True):
            if not p.is_box:
                total[at] += sum(_length(*span) for span in found)
        for first, last in spans[0]:
            for other_first, other_last in spans[1]:
                inner[at] += _length(np.maximum(first, other_first), np.minimum(last, other_last))
    return inner, total - inner


def _blocks(heights: Floats) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Regions of about the same height, as many as make one block; those of no height are left out."""
    order = np.argsort(-heights, kind="stable")
    order = order[heights[order] > 0]
    start = 0
    while start < len(order):
        height = int(heights[order[start]])
        at = order[start : start + max(1, _BLOCK // height)]
        yield at, height
        start += len(at)


def _ends(boxes: _Pixels) -> tuple[Floats, Floats]:
    return boxes.corners[:, 0], boxes.corners[:, 1]


def _area(first: Floats, last: Floats, size: Floats) -> Floats:
    """Pixels (N,) of boxes from their first to their last one, inside grids of ``size``."""
    sides = np.minimum(last, size - 1) - np.maximum(first, 0.0) + 1
    area: Floats = np.maximum(sides, 0.0).prod(axis=1)
    return area


def _length(first: Floats, last: Floats) -> Floats:
    """(N,) pixels in spans (N, H): summed over the rows."""
    length: Floats = np.maximum(last - first + 1, 0.0).sum(axis=1)
    return length


def _spans(pixels: _Pixels, row: Floats, width: Floats, height: Floats, rule: str) -> Iterator[tuple[Floats, Floats]]:
    """What a region covers of rows (N, H): spans from first to last column (N, H), disjoint, of no length (last
    before first) where there is none.

    A row is filled between pairs of the sorted columns where edges cross it. A corner counts for both of its edges:
    of two equal columns the first is passed over (``vot``: not if they are the row's last two). Level edges count
    for nothing (``vot``: as their first corner).
    """
    if pixels.is_box:
        (left, top), (right, bottom) = (pixels.corners[:, i].T[:, :, None] for i in (0, 1))
        is_in = (row >= top) & (row <= np.minimum(bottom, height - 1))
        yield np.maximum(left, 0.0), np.where(is_in, np.minimum(right, width - 1), -1.0)
        return
    columns = _crossings(pixels.corners, row, height, rule)
    at = [np.zeros(row.shape, np.bool_) for _ in range(len(columns) + 1)]
    at[0][:] = True
    behind = np.zeros(row.shape)
    for i in range(0, len(columns) - 1, 2):
        first, last = np.full(row.shape, np.inf), np.full(row.shape, -1.0)
        # Of two neighbouring pairs at most one is filled, so both share a span.
        for k in range(i, min(i + 2, len(columns) - 1)):
            is_pair = at[k] & (columns[k + 1] < np.inf)
            is_double = is_pair & (columns[k] == columns[k + 1])
            if rule == "vot":
                is_double &= columns[k + 2] < np.inf if k + 2 < len(columns) else False
            is_filled = is_pair & ~is_double
            at[k + 1] |= is_double
            at[k + 2] |= is_filled
            first, last = np.where(is_filled, columns[k], first), np.where(is_filled, columns[k + 1], last)
        if (last >= 0).any():
            first, last = np.maximum(first, behind), np.minimum(last, width - 1)
            yield first, last
            behind = np.maximum(behind, last + 1)


def _crossings(corners: Floats, row: Floats, height: Floats, rule: str) -> list[Floats]:
    """V arrays (N, H): the columns where the edges of polygons (N, V, 2) cross rows (N, H), sorted; infinite where
    an edge does not."""
    count = corners.shape[1]
    columns = []
    for i in range(count):
        (x, y), (other_x, other_y) = (corners[:, k].T[:, :, None] for k in (i, i - 1))
        rise = other_y - y
        # Exactly this order of operations: another one rounds to the other side of an integer now and then.
        with np.errstate(divide="ignore", invalid="ignore"):
            column = np.trunc(x + (row - y) / rise * (other_x - x))
        is_crossed = (row >= np.minimum(y, other_y)) & (row <= np.minimum(np.maximum(y, other_y), height - 1))
        is_level = rise == 0
        if rule == "vot":
            column = np.where(is_level, x, column)
        else:
            is_crossed &= ~is_level
        columns.append(np.where(is_crossed, column, np.inf))
    for step in range(count):  # odd-even transposition: a few passes over whole arrays, where np.sort goes by element
        for i in range(step % 2, count - 1, 2):
            pair = columns[i], columns[i + 1]
            columns[i], columns[i + 1] = np.minimum(*pair), np.maximum(*pair)
    return columns
