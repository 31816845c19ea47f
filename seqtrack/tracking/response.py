"""From response maps to a displacement and a scale: pure NumPy, whatever ran the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqtrack.tracking.params import TrackerParams

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Peak:
    """``scale``: row of the response maps; ``dx``, ``dy``: displacement in cells; ``score``: the response there."""

    scale: int
    dx: float
    dy: float
    score: float


def cubic_upsampling(size: int, factor: int) -> Array:
    """((size - 1) * factor + 1, size) matrix U: ``U r`` samples r at every 1/factor cell, cell centres included.

    Keys' cubic convolution (a = -0.5), the map's border repeated.
    """
    positions = np.arange((size - 1) * factor + 1) / factor
    cell = np.floor(positions).astype(int)
    matrix = np.zeros((len(positions), size))
    for tap in (-1, 0, 1, 2):
        t = np.abs(positions - (cell + tap))
        near = ((1.5 * t) - 2.5) * t * t + 1.0
        far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
        weight = np.where(t <= 1, near, np.where(t < 2, far, 0.0))
        np.add.at(matrix, (np.arange(len(positions)), np.clip(cell + tap, 0, size - 1)), weight)
    return matrix.astype(np.float32)


def cosine_window(size: int, center: float) -> Array:
    """(R, R) Hann window around cell ``center`` (zero one cell beyond a centred map), summing to 1."""
    positions = np.arange(size) - center
    profile = np.cos(np.pi * np.clip(positions / (size + 1), -0.5, 0.5)) ** 2
    window = np.outer(profile, profile)
    normalized: Array = (window / window.sum()).astype(np.float32)
    return normalized


class PeakFinder:
    """Finds the target in the response maps of several scales.

    As in SiamFC, the scale with the highest penalised peak wins, and the new position is the peak of its map mixed
    with a cosine window; both peaks are those of the map up-sampled by cubic convolution. Three departures:

    - Only the cells next to the highest one are up-sampled. The whole maps take longer than all else but the network.
    - The penalty acts on the height of a peak above the lowest response of all maps, so that the learned bias (which
      may make all logits negative) does not matter.
    - The highest sample is refined by a parabola, so that a rounding error in the network moves the box by as little
      and not by a whole step of the grid.
    """

    def __init__(self, size: int, center: float, params: TrackerParams) -> None:
        self._center, self._factor = center, params.response_up
        self._up = cubic_upsampling(size, params.response_up)
        self._window = cosine_window(size, center)
        self._influence = params.window_influence
        self._penalty = [1.0 if scale == 1.0 else params.scale_penalty for scale in params.scales()]

    def __call__(self, responses: Array) -> Peak:
        """``responses``: (num_scales, R, R) float32 logits."""
        lowest = float(responses.min())
        heights = [float(self._around_peak(r)[0].max()) - lowest for r in responses]
        # Of equals the present scale, whose penalty is 1.
        scale = max(range(len(heights)), key=lambda i: (heights[i] * self._penalty[i], self._penalty[i]))
        best = responses[scale]
        raised = best - best.min()
        total = float(raised.sum())
        share = (1 - self._influence) / total if total > 0 else 0.0
        mixed = (self._window * np.float32(self._influence) + raised * np.float32(share)).astype(np.float32)
        patch, rows, columns = self._around_peak(mixed)
        row, column = divmod(int(patch.argmax()), patch.shape[1])
        y, x = rows.start + row, columns.start + column
        return Peak(
            scale,
            (x + _vertex(patch[row], column)) / self._factor - self._center,
            (y + _vertex(patch[:, column], row)) / self._factor - self._center,
            float(self._up[y] @ best @ self._up[x]),
        )

    def _around_peak(self, values: Array) -> tuple[Array, slice, slice]:
        """The map up-sampled within one cell of its highest, and which rows and columns of all these are."""
        rows, columns = (self._near(at) for at in divmod(int(values.argmax()), values.shape[1]))
        patch = self._up[rows] @ values @ self._up[columns].T
        return np.asarray(patch, np.float32), rows, columns

    def _near(self, cell: int) -> slice:
        return slice(max(0, (cell - 1) * self._factor), min(len(self._up), (cell + 1) * self._factor + 1))


def _vertex(values: Array, at: int) -> float:
    """Offset in (-0.5, 0.5) of the vertex of the parabola through three neighbours of the maximum."""
    if not 0 < at < len(values) - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[at - 1 : at + 2])
    curvature = left - 2 * middle + right
    return 0.5 * (left - right) / curvature if curvature < 0 else 0.0
