"""What no data set may say, whatever its layout: boxes that cannot be meant.

Benchmarks do contain boxes that stick out of the frame, that lie outside of it for a while, that have no area, and
rows without a target, whose boxes may say anything. Those pass. Where there is a target, what does not is:

- a number missing, or a negative width or height;
- a side beyond twice the frame's, or a place beyond a hundred times the frame: two columns have run together, or the
  units are others;
- a target that is outside of the frame for more than half of its boxes: they are of frames of another size.

Layouts of one target are stricter about sides (``common.check_boxes``). Those whose boxes lie in the picture
(``WITHIN_FRAME``: COCO, and YouTube-BB, which has them as fractions of it) are so about edges too. Both find swapped
width and height. ImageNet is not among them: some of its boxes extend outside of the picture, which others' readers
(TensorFlow's ``process_bounding_boxes.py`` names n03127925_147.xml, FGFA's of VID and DET) clip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import TrackAnnotation, VideoAnnotation

_FARTHEST = 100.0
# Of the published, hulls of VOT's polygons reach furthest: 1.07 of the frame. What is cut in training has four times
# the side of the box, so that its memory goes with the square of this.
_LARGEST = 2.0
# Where a last pixel is counted twice (xmax = width), or numbers are rounded, boxes reach out by a pixel or two.
# COCO's own files are said to have no box beyond its picture (rbgirshick/py-faster-rcnn#774), but nobody has counted
# others', so the margin is wide: what passes it is from another picture, or has its numbers in another order.
_MARGIN = 0.1
Boxes = NDArray[np.float64]
Rows = NDArray[np.bool_]


def find_mistake(video: VideoAnnotation, *, within: bool = False) -> tuple[int, int, str] | None:
    """(track, row, what is wrong) of the first label that cannot be meant; None if there is none.

    Args:
        within: boxes of this layout lie in the frame, but for a margin.
    """
    if not video.tracks:
        return None
    # All tracks at once: of one-frame tracks there are a million, and next to none of them is suspect.
    boxes = np.concatenate([track.boxes for track in video.tracks])
    if not within and _all_plain(boxes, video.size):
        return None
    present = np.concatenate([track.present for track in video.tracks])
    suspect = _impossible(boxes, present, video.size) | (present & _outside(boxes, video.size))
    if within:
        suspect |= present & _reaches_out(boxes, video.size)
    if not suspect.any():
        return None
    for number, track in enumerate(video.tracks):
        if (found := _mistake_in(track, video.size, within)) is not None:
            return number, *found
    return None


def _mistake_in(track: TrackAnnotation, size: tuple[int, int], within: bool) -> tuple[int, str] | None:
    boxes, present, frame = track.boxes, track.present, f"the frame of {size[0]}x{size[1]}"
    wrong = _impossible(boxes, present, size)
    if wrong.any():
        row = int(np.argmax(wrong))
        if np.isnan(boxes[row]).any():
            return row, "some of its numbers are missing"
        if (boxes[row, 2:] < 0).any():
            return row, "negative width or height"
        return row, f"more than twice {frame}" if _too_large(boxes, size)[row] else f"far beyond {frame}"
    if within and (wrong := present & _reaches_out(boxes, size)).any():
        return int(np.argmax(wrong)), f"beyond {frame} (width and height swapped?)"
    outside = present & _outside(boxes, size)
    if 2 * outside.sum() <= present.sum():
        return None
    return int(np.argmax(outside)), f"outside of {frame}, as {outside.sum()} of {present.sum()} boxes of this target"


# Column by column: NumPy takes ten times as long to reduce rows of four.


def _all_plain(boxes: Boxes, size: tuple[int, int]) -> bool:
    """Whether each box has numbers, sides that can be and something in common with the frame: as nearly always.

    Found out in a fifth of the time that the rules below take, by nothing but the smallest and largest numbers.
    """
    if not len(boxes):
        return True
    columns = np.ascontiguousarray(boxes.T)
    x, y, width, height = columns.min(axis=1).tolist()  # nan where there is one, of which nothing below is true
    most_x, most_y, most_width, most_height = columns.max(axis=1).tolist()
    right, bottom = (columns[:2] + columns[2:]).min(axis=1).tolist()
    far = _FARTHEST * max(size)
    return bool(
        (x >= -far and y >= -far and width >= 0 and height >= 0 and right > 0 and bottom > 0)
        and (most_x < size[0] and most_y < size[1])
        and (most_width <= _LARGEST * size[0] and most_height <= _LARGEST * size[1])
    )


def _impossible(boxes: Boxes, present: Rows, size: tuple[int, int]) -> Rows:
    x, y, width, height = boxes.T
    far = _FARTHEST * max(size)
    with np.errstate(invalid="ignore"):
        wrong = (width < 0) | (height < 0) | _too_large(boxes, size) | (abs(x) > far) | (abs(y) > far)
        return np.asarray(present & (wrong | np.isnan(x + y + width + height)))


def _too_large(boxes: Boxes, size: tuple[int, int]) -> Rows:
    _, _, width, height = boxes.T
    return np.asarray((width > _LARGEST * size[0]) | (height > _LARGEST * size[1]))


def _outside(boxes: Boxes, size: tuple[int, int]) -> Rows:
    """Which boxes have nothing in common with the frame."""
    x, y, width, height = boxes.T
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((x >= size[0]) | (y >= size[1]) | (x + width <= 0) | (y + height <= 0))


def _reaches_out(boxes: Boxes, size: tuple[int, int]) -> Rows:
    """Which boxes leave the frame by more than the margin."""
    x, y, width, height = boxes.T
    dx, dy = (max(2.0, _MARGIN * side) for side in size)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((x < -dx) | (y < -dy) | (x + width > size[0] + dx) | (y + height > size[1] + dy))
