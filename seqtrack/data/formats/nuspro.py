"""NUS-PRO, 365 videos of pedestrians and rigid objects.

    <seq>/NNNNN.jpg
    <seq>/groundtruth.txt           x1 y1 x2 y2 per frame, spaces

Li, Lin, Wu, Yang, Yan: NUS-PRO: a new visual tracking challenge, PAMI 2016; columns as jvlmdr/trackdat reads them
(``python/trackdat/nuspro.py``). Corners are taken as they are. Levels of occlusion are published beside the boxes,
but in no form that we know of, so they are not read.
"""

from __future__ import annotations

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    frames_for,
    from_corners,
    join,
    parse_rows,
    sequences_with,
    video_of_one_target,
)

EXPECTED = "<seq>/NNNNN.jpg and <seq>/groundtruth.txt with rows x1 y1 x2 y2"

_TRUTH = "groundtruth.txt"


def find(tree: Tree, part: str) -> list[tuple[str, str]]:
    return sequences_with(tree, _TRUTH, "NUS-PRO", "NUS_PRO")


def read(tree: Tree, entry: tuple[str, str], sizes: Sizes) -> VideoAnnotation:
    video, folder = entry
    truth = join(folder, _TRUTH)
    where = tree.describe(truth)
    frames = frames_for(tree, folder, truth, "NNNNN.jpg beside it")
    boxes = from_corners(parse_rows(tree.read(truth), where, (4,)))
    return video_of_one_target(tree, video, frames, boxes, where, sizes)
