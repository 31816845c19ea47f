"""One tracker over one sequence: frames in, boxes in pixels of the original image out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqtrack.data.geometry import scale_boxes
from seqtrack.data.imaging.images import resize_view
from seqtrack.errors import TrialError
from seqtrack.tracking.base import Boxes, Image, Tracker


@dataclass(frozen=True)
class SequenceTrack:
    """Boxes (T, 4) x y w h in pixels of the original image and scores (T,), one row per frame, the first included.

    The first box is the one the tracker was given and its score is NaN. ``seconds`` is the time that the
    tracker took for all frames, resizing to the view included, reading and decoding not.
    """

    boxes: Boxes
    scores: NDArray[np.float64]
    seconds: float


def track_sequence(
    tracker: Tracker,
    frames: Iterable[Image],
    init_box: ArrayLike,
    original_size: tuple[int, int],
    view_size: tuple[int, int] | None = None,
) -> SequenceTrack:
    """Runs ``tracker`` over ``frames`` from the first on.

    ``frames``: (H, W, 3) uint8 RGB as stored, from any iterable; a generator is asked for a
    frame when the one before it is done with. ``init_box``: (4,) in pixels of the original image, whose size
    (width, height) is ``original_size``. Each frame is resized to ``view_size`` first, if given; that view
    is all the tracker sees.
    """
    boxes: list[Boxes] = []
    scores: list[float] = []
    seconds = 0.0
    for frame in frames:
        start = time.perf_counter()
        view = frame if view_size is None else resize_view(frame, view_size)
        size = (view.shape[1], view.shape[0])
        if not boxes:
            first = np.array(init_box, dtype=np.float64).reshape(4)
            tracker.init(view, scale_boxes(first, original_size, size).reshape(4))
            box, score = first, float("nan")
        else:
            found, score = tracker.update(view)
            box = scale_boxes(found, size, original_size).reshape(4)
            if not np.isfinite(box).all():
                raise TrialError(
                    f"the tracker answered {found} in frame {len(boxes)} of the sequence: "
                    "the weights may have diverged; try a lower --lr_init"
                )
        seconds += time.perf_counter() - start
        boxes.append(box)
        scores.append(score)
    return SequenceTrack(np.array(boxes).reshape(-1, 4), np.array(scores, dtype=np.float64), seconds)
