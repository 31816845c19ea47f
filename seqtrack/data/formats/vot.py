"""The VOT layout: vot2013 … vot2019 and long-term.

    <seq>/NNNNNNNN.jpg, or <seq>/color/…, or <seq>/img/…
    <seq>/groundtruth.txt     x y w h, or x1 y1 … x4 y4, per frame; nan where the target is absent
    <seq>/occlusion.tag, occlusion.label   0 or 1 per frame
    list.txt                  names of the sequences, in order (optional)

Coordinates are taken as they are: vot-toolkit reads the regions without an offset
(votchallenge/toolkit, ``vot/dataset/common.py`` and ``vot/region/io.py``) and rasterises them on 0-based
pixels. The box of a polygon is its axis-aligned hull; the polygon itself is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import exists, frames_in, join, original_size, parse_rows, walk, with_presence
from seqtrack.data.geometry import polygon_hull
from seqtrack.errors import DataError

EXPECTED = "<seq>/groundtruth.txt with frames beside it or in <seq>/color/ or <seq>/img/"

_TRUTH = "groundtruth.txt"
_FRAME_FOLDERS = ("color", "img", "")


def find(tree: Tree, part: str) -> list[str]:
    """Every folder of the tree (or the tree itself) that holds ``groundtruth.txt``; ``list.txt`` chooses."""
    everywhere = walk(tree, into=lambda _, listing: _TRUTH not in listing.files)
    there = [folder for folder, listing in everywhere if _TRUTH in listing.files]
    if not exists(tree, "list.txt"):
        return there
    listed = [line.strip() for line in tree.read("list.txt").decode("utf-8-sig").splitlines() if line.strip()]
    for number, name in enumerate(listed, start=1):
        if name not in there:
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
    boxes, polygons, present = _regions(tree, truth)
    if len(boxes) != len(frames):
        raise DataError(
            f"{tree.describe(truth)}: {len(boxes)} rows for {len(frames)} frames;"
            " rows and frames must match: mend the data"
        )
    track = TrackAnnotation(
        name=video,
        frames=np.arange(len(frames)),
        boxes=boxes,
        present=present,
        occluded=_occluded(tree, folder, len(frames)),
        polygons=polygons,
    )
    size = original_size(tree, video, frames[0], sizes)
    return VideoAnnotation(name=video, frame_names=frames, size=size, tracks=[track])


def _regions(tree: Tree, truth: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.bool_]]:
    rows = parse_rows(tree.read(truth), tree.describe(truth), (4, 8))
    polygons = rows if rows.shape[1] == 8 else None
    boxes, present = with_presence(rows if polygons is None else polygon_hull(polygons))
    return boxes, polygons, present


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
