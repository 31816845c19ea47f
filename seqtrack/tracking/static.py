"""Trackers without a network: the floor (a box that never moves) and the ceiling (one that is told the truth)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from seqtrack.data.geometry import scale_boxes
from seqtrack.tracking.base import Boxes, Image


class StaticTracker:
    """Answers the first box for ever. What a trained tracker must beat."""

    def init(self, frame: Image, box: ArrayLike) -> None:
        self._box = np.array(box, dtype=np.float64)

    def update(self, frame: Image) -> tuple[Boxes, float]:
        return self._box.copy(), 1.0


class OracleTracker:
    """Answers the truth, in pixels of whatever frame it is given: shows that coordinates survive all the way.

    ``boxes``: (T, 4), one row per frame of the sequence from its start on, in pixels of an image of
    ``size`` (width, height).
    """

    def __init__(self, boxes: ArrayLike, size: tuple[int, int]) -> None:
        self._truth, self._size = np.asarray(boxes, dtype=np.float64), size
        self._next = 0

    def init(self, frame: Image, box: ArrayLike) -> None:
        self._next = 1

    def update(self, frame: Image) -> tuple[Boxes, float]:
        box = scale_boxes(self._truth[self._next], self._size, (frame.shape[1], frame.shape[0]))
        self._next += 1
        return box.reshape(4), 1.0
