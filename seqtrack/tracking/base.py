"""What every tracker does: it is given a frame and a box once, and then a box is asked of it for each frame."""

from __future__ import annotations

from collections.abc import Sequence
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


class BatchTracker(Protocol):
    """A tracker of many targets at a time, each in a video of its own, which advance together.

    There are ``slots`` places for targets, whether they are taken or not: arithmetic has the same shapes whatever
    else is tracked, so that what is found of one target never depends on the others. Must not draw at random.
    """

    @property
    def slots(self) -> int:
        """How many targets at most."""

    def init(self, frames: Sequence[Image], boxes: Sequence[ArrayLike], slots: Sequence[int]) -> None:
        """Starts on one target per frame, in these slots; the other ones go on."""

    def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, NDArray[np.float64]]:
        """Boxes (B, 4), each in pixels of its frame, and confidences (B,) of the targets in these slots."""
