"""What training sees: a contact sheet of pairs with their response maps, as PNG.

One row per pair: exemplar, search region with the target's box (red and marked "negative" where that is not the
exemplar's target), the response map laid over it, the response map alone, and its labels. Blue is low and red is
high, over each pair's own range; the peak has a cross.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.reporting import sheet
from seqtrack.reporting.sheet import CELL, Image

_TITLES = ("exemplar", "search + truth", "response overlaid", "response", "labels")


def render_pairs(
    exemplar: NDArray[np.uint8],
    search: NDArray[np.uint8],
    search_box: NDArray[np.float32],
    response: NDArray[np.float32],
    labels: NDArray[np.float32],
    max_pairs: int = 8,
    is_positive: NDArray[np.bool_] | None = None,
) -> Image:
    """One RGB sheet (H, W, 3) of the first ``max_pairs`` pairs.

    exemplar: (B, E, E, 3) uint8 RGB; search: (B, S, S, 3) uint8 RGB; search_box: (B, 4) x y w h in search
    pixels; response, labels: (B, R, R) real, labels 1 = target, 0 or -1 = background; is_positive: (B,), None
    where all pairs are. The response map lies where the network looked: centred, one cell every (S - E) / (R - 1)
    pixels, the stride of a Siamese tracker without rounding. Raises ValueError for arrays that do not belong
    together.
    """
    count = len(exemplar)
    if not (count == len(search) == len(search_box) == len(response) == len(labels) > 0):
        raise ValueError("exemplar, search, search_box, response and labels: one entry per pair expected")
    rows = [_header()]
    for k in range(min(count, max_pairs)):
        plain = np.asarray(response[k], np.float64)
        positive = is_positive is None or bool(is_positive[k])
        boxed = sheet.boxed(search[k], search_box[k], sheet.TRUTH_COLOUR if positive else sheet.NEGATIVE_COLOUR)
        heat = _heat(plain)
        cells = (
            (sheet.fit(exemplar[k]), f"#{k}  {exemplar.shape[1]} px"),
            (boxed, f"{search.shape[1]} px{'' if positive else '  negative'}"),
            (_overlaid(search[k], plain, exemplar.shape[1]), f"peak {_peak_text(plain)}"),
            (_cross(sheet.fit(heat), plain), _range_text(plain)),
            (sheet.fit(_heat(np.asarray(labels[k], np.float64))), f"{int((labels[k] > 0).sum())} positive"),
        )
        rows.append(sheet.row(cells))
    return np.concatenate(rows)


def _header() -> Image:
    return sheet.row(tuple((None, title) for title in _TITLES))


def _heat(values: NDArray[np.float64]) -> Image:
    """(R, R) -> (R, R, 3) RGB over the map's own range; all blue where the map is flat or not finite."""
    finite = np.where(np.isfinite(values), values, np.nan)
    low, high = (np.nanmin(finite), np.nanmax(finite)) if np.isfinite(values).any() else (0.0, 0.0)
    span = high - low if high > low else 1.0
    grey = np.nan_to_num((finite - low) / span * 255.0).astype(np.uint8)
    coloured = cv2.applyColorMap(grey, cv2.COLORMAP_JET)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), np.uint8)


def _overlaid(search: Image, values: NDArray[np.float64], exemplar_side: int) -> Image:
    """The search region, half covered by the heat map where the map's cells look."""
    cells, side = values.shape[0], search.shape[0]
    stride = (side - exemplar_side) / (cells - 1) if cells > 1 else side
    covered = max(1, min(CELL, round(cells * stride * CELL / side)))
    picture: Image = sheet.fit(search).copy()
    begin = (CELL - covered) // 2
    patch = picture[begin : begin + covered, begin : begin + covered]
    heat = cv2.resize(_heat(values), (covered, covered), interpolation=cv2.INTER_LINEAR)
    patch[...] = cv2.addWeighted(patch, 0.5, heat, 0.5, 0.0)
    return picture


def _peak(values: NDArray[np.float64]) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmax(np.nan_to_num(values, nan=-np.inf))), values.shape)
    return int(row), int(column)


def _peak_text(values: NDArray[np.float64]) -> str:
    row, column = _peak(values)
    middle = (values.shape[0] - 1) / 2
    return f"x {column - middle:+.0f}, y {row - middle:+.0f} cells"


def _cross(picture: Image, values: NDArray[np.float64]) -> Image:
    row, column = _peak(values)
    cell = CELL / values.shape[0]
    place = (round((column + 0.5) * cell), round((row + 0.5) * cell))
    return np.asarray(cv2.drawMarker(picture.copy(), place, (255, 255, 255), cv2.MARKER_CROSS, 10, 1), np.uint8)


def _range_text(values: NDArray[np.float64]) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.min():.2f} .. {finite.max():.2f}" if len(finite) else "not a number"
