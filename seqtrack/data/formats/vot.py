"""The VOT layout: vot2013 … vot2019 and long-term.

    <seq>/NNNNNNNN.jpg, or <seq>/color/…, or <seq>/img/…
    <seq>/groundtruth.txt     x y w h, or x1 y1 … x4 y4, per frame; nan where the target is absent, or one number
                              alone, vot-toolkit's code for a region that is not known
    <seq>/occlusion.tag, occlusion.label   0 or 1 per frame
    list.txt                  names of the sequences, in order (optional)

Other tags (``camera_motion.tag``, …) are not read. Masks (from 2020 on) are not regions that a box can stand for.

Coordinates are taken as they are: vot-toolkit reads the regions without an offset
(votchallenge/toolkit, ``vot/dataset/common.py`` and ``vot/region/io.py``) and rasterises them on 0-based
pixels. The box of a polygon is its axis-aligned hull; the polygon itself is kept.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    exists,
    folders_with,
    frames_in,
    join,
    parse_rows,
    read_list,
    video_of_one_target,
)
from seqtrack.data.geometry import polygon_hull
from seqtrack.errors import DataError

EXPECTED = "<seq>/groundtruth.txt with frames beside it or in <seq>/color/ or <seq>/img/"

_TRUTH = "groundtruth.txt"
_ALONE = re.compile(rb"^[ \t]*(?:nan|[0-9.]+)[ \t]*(?=\r?$)", re.MULTILINE | re.IGNORECASE)
_FRAME_FOLDERS = ("color", "img", "")


def find(tree: Tree, part: str) -> list[str]:
    """Those that ``list.txt`` names, else every folder (or the tree itself) that holds ``groundtruth.txt``."""
    if not exists(tree, "list.txt"):
        return folders_with(tree, _TRUTH)
    listed = read_list(tree, "list.txt")
    for number, name in enumerate(listed, start=1):
        if not exists(tree, join(name, _TRUTH)):
            raise DataError(
                f"{tree.describe('list.txt')}, row {number}: sequence {name!r} is not there;"
                f" expected {name}/{_TRUTH}, or drop the row"
            )
    return listed


def read(tree: Tree, entry: str, sizes: Sizes) -> VideoAnnotation:
    folder, video = entry, entry or tree.name
    truth = join(folder, _TRUTH)
    for candidate in _FRAME_FOLDERS:
        frames = frames_in(tree, join(folder, candidate).strip("/"))
        if frames:
            break
    else:
        raise DataError(f"{tree.describe(truth)}: no frames for it; expected {EXPECTED}")
    where = tree.describe(truth)
    regions = parse_rows(_filled(tree.read(truth)), where, (4, 8))
    is_polygon = regions.shape[1] == 8
    return video_of_one_target(
        tree,
        video,
        frames,
        polygon_hull(regions) if is_polygon else regions,
        where,
        sizes,
        occluded=_occluded(tree, folder, len(frames)),
        polygons=regions if is_polygon else None,
    )


def _filled(text: bytes) -> bytes:
    """Rows of one number, in a file of more, with as many ``nan`` as the others have."""
    if not _ALONE.search(text):
        return text
    commas = max(line.count(b",") for line in text.splitlines())
    return _ALONE.sub(b",".join([b"nan"] * (commas + 1)), text)


def _occluded(tree: Tree, folder: str, length: int) -> NDArray[np.bool_]:
    """From ``occlusion.tag`` (or ``.label``); shorter files are padded with 0, as vot-toolkit does."""
    flags = np.zeros(length, dtype=bool)
    for suffix in ("tag", "label"):
        name = join(folder, f"occlusion.{suffix}")
        if not exists(tree, name):
            continue
        rows = parse_rows(tree.read(name), tree.describe(name), (1,))[:, 0]
        if len(rows) > length:
            raise DataError(f"{tree.describe(name)}: {len(rows)} rows for {length} frames; drop those too many")
        flags[: len(rows)] |= rows == 1
    return flags
