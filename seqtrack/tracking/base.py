"""What every tracker does: it is given a frame and a box once, and then a box is asked of it for each frame."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.uint8]
Boxes = NDArray[np.float64]


class Tracker(Protocol):
    """Frames are (H, W, 3) uint8 RGB, boxes x y w h in pixels of that frame (0-based, continuous)."""

    def init(self, frame: Image, box: ArrayLike) -> None:
        """Starts on the target in ``box``. What was tracked before is forgotten."""

    def update(self, frame: Image) -> tuple[Boxes, float]:
        """The target's box (4,) in the next frame, and a confidence, comparable within one sequence."""
