"""What a run does next: where a tracker is started, which frames it sees, and what is written of each.

A course is asked (``next``) and told (``answer``) in turn, so one run, many in lock-step and runs that start again
after a failure are the same loop. Positions count from the run's first frame and only rise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqtrack.tracking.base import Boxes

# What became of a frame. On disk, and in the columns of ``tracks.h5``: never renumbered.
TRACKED, START, FAILED, SKIPPED = 0, 1, 2, 3

# From a failure to the next start, in frames: four are skipped (VOT2013 to 2019; Kristan et al., "A novel
# performance evaluation methodology for single-target trackers", PAMI 2016).
VOT_RESTART = 5


@dataclass(frozen=True)
class Step:
    """position: of the frame. init_box: (4,) to start on; None: the target is to be found."""

    position: int
    init_box: Boxes | None


class Course(Protocol):
    """One run, T frames long.

    boxes: (T, 4) float64 x y w h in pixels of the original image, as predicted or given; NaN where the tracker saw
    nothing. scores: (T,) float64, NaN there and at a start. codes: (T,) uint8.
    """

    boxes: Boxes
    scores: NDArray[np.float64]
    codes: NDArray[np.uint8]

    def next(self) -> Step | None:
        """What to do now, the same until it is answered; None at the end."""

    def answer(self, box: ArrayLike, score: float) -> None:
        """What came of it: ``box`` (4,) and confidence; of a start, the box given and NaN."""


class OnePass:
    """Started once, on the first frame, and never helped again: OPE, each start of TRE, VOT's long term."""

    def __init__(self, length: int, init_box: ArrayLike) -> None:
        self.boxes, self.scores, self.codes = _nothing_yet(length)
        self._init_box = np.array(init_box, np.float64).reshape(4)
        self._at = 0

    def next(self) -> Step | None:
        if self._at == len(self.codes):
            return None
        return Step(self._at, None if self._at else self._init_box)

    def answer(self, box: ArrayLike, score: float) -> None:
        self.boxes[self._at], self.scores[self._at] = box, score
        self.codes[self._at] = TRACKED if self._at else START
        self._at += 1


class Supervised:
    """VOT's baseline experiment: where the overlap with the truth is 0 the tracker has failed, and is started again
    on the fifth frame after that, or the first one from there on with the target in view.

    A frame whose target is not in view has no overlap and is no failure. The box of a failure is kept.

    Args:
        boxes: (T, 4) what it is started on: the truth, of polygons the axis-aligned hull, as vot-toolkit does.
        present: (T,) the target is in view; there is a box to start on.
        overlap: of a predicted box (4,) with the truth at a position, in [0, 1].
    """

    def __init__(
        self,
        boxes: ArrayLike,
        present: ArrayLike,
        overlap: Callable[[int, Boxes], float],
        restart: int = VOT_RESTART,
    ) -> None:
        self._truth = np.asarray(boxes, np.float64).reshape(-1, 4)
        self._present = np.asarray(present, np.bool_)
        self._overlap, self._restart = overlap, restart
        self.boxes, self.scores, self.codes = _nothing_yet(len(self._present))
        self._at, self._starts = self._next_in_view(0), True

    def next(self) -> Step | None:
        if self._at == len(self.codes):
            return None
        return Step(self._at, self._truth[self._at] if self._starts else None)

    def answer(self, box: ArrayLike, score: float) -> None:
        found, at = np.array(box, np.float64).reshape(4), self._at
        self.boxes[at], self.scores[at] = found, score
        has_failed = not self._starts and bool(self._present[at]) and not self._overlap(at, found) > 0
        self.codes[at] = START if self._starts else FAILED if has_failed else TRACKED
        self._at, self._starts = (self._next_in_view(at + self._restart), True) if has_failed else (at + 1, False)

    def _next_in_view(self, position: int) -> int:
        there = np.flatnonzero(self._present[position:])
        return position + int(there[0]) if len(there) else len(self._present)


def _nothing_yet(length: int) -> tuple[Boxes, NDArray[np.float64], NDArray[np.uint8]]:
    return np.full((length, 4), np.nan), np.full(length, np.nan), np.full(length, SKIPPED, np.uint8)
