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
    base_of,
    folders_with,
    frames_for,
    from_corners,
    join,
    name_below,
    parse_rows,
    video_of_one_target,
)

EXPECTED = "<seq>/NNNNN.jpg and <seq>/groundtruth.txt with rows x1 y1 x2 y2"

_TRUTH = "groundtruth.txt"


def find(tree: Tree, part: str) -> list[tuple[str, str]]:
    """(sequence, its folder), of the tree or of ``NUS-PRO`` in it."""
    base = base_of(tree, "NUS-PRO", "NUS_PRO")
    return [(name_below(tree, base, folder), folder) for folder in folders_with(tree, _TRUTH, base)]


def read(tree: Tree, entry: tuple[str, str], sizes: Sizes) -> VideoAnnotation:
    video, folder = entry
    truth = join(folder, _TRUTH)
    where = tree.describe(truth)
    frames = frames_for(tree, folder, truth, "NNNNN.jpg beside it")
    boxes = from_corners(parse_rows(tree.read(truth), where, (4,)))
    return video_of_one_target(tree, video, frames, boxes, where, sizes)
