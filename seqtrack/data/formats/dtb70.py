"""DTB70, 70 videos from drones.

    <Seq>/img/NNNNN.jpg
    <Seq>/groundtruth_rect.txt      x y w h per frame, 1-based

Li, Yeung: Visual object tracking for unmanned aerial vehicles, AAAI 2017. It is evaluated with OTB's MATLAB toolkit,
whose first pixel is 1; got10k takes the numbers as they are, so its x and y are 1 more.
"""

from __future__ import annotations

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    frames_for,
    join,
    parse_rows,
    sequences_with,
    video_of_one_target,
)

EXPECTED = "<Seq>/img/NNNNN.jpg and <Seq>/groundtruth_rect.txt"

_TRUTH = "groundtruth_rect.txt"


def find(tree: Tree, part: str) -> list[tuple[str, str]]:
    return sequences_with(tree, _TRUTH, "DTB70")


def read(tree: Tree, entry: tuple[str, str], sizes: Sizes) -> VideoAnnotation:
    video, folder = entry
    truth = join(folder, _TRUTH)
    where = tree.describe(truth)
    frames = frames_for(tree, join(folder, "img"), truth, "NNNNN.jpg there")
    boxes = parse_rows(tree.read(truth), where, (4,))
    return video_of_one_target(tree, video, frames, boxes, where, sizes, first_pixel=1)
