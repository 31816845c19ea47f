"""TLP (Track Long and Prosper), 50 long videos.

    <Seq>/img/NNNNN.jpg
    <Seq>/groundtruth_rect.txt      frame x y w h lost; ``frame`` is the number of the file, ``lost`` 0 or 1

Moudgil, Gandhi: Long-term visual object tracking benchmark, ACCV 2018; columns as jvlmdr/trackdat reads them
(``load_tlp`` in ``python/trackdat/otb.py``). Where the target is lost the box is kept, and the target counts as not
in view. Coordinates are taken as they are: the publisher does not say what the first pixel is.
"""

from __future__ import annotations

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    check_length,
    frames_for,
    join,
    parse_rows,
    positions_of,
    sequences_with,
    video_of_one_target,
)

EXPECTED = "<Seq>/img/NNNNN.jpg and <Seq>/groundtruth_rect.txt with rows frame x y w h lost"

_TRUTH = "groundtruth_rect.txt"


def find(tree: Tree, part: str) -> list[tuple[str, str]]:
    return sequences_with(tree, _TRUTH, "TLP")


def read(tree: Tree, entry: tuple[str, str], sizes: Sizes) -> VideoAnnotation:
    video, folder = entry
    truth = join(folder, _TRUTH)
    where = tree.describe(truth)
    frames = frames_for(tree, join(folder, "img"), truth, "NNNNN.jpg there")
    rows = parse_rows(tree.read(truth), where, (6,))
    check_length(len(rows), frames, where)
    positions = positions_of(rows[:, 0], frames, where)
    return video_of_one_target(
        tree, video, frames, rows[:, 1:5], where, sizes, positions=positions, lost=rows[:, 5] != 0
    )
