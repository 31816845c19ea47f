"""LaSOT's and GOT-10k's annotations from the publisher's own folders, exactly and without the frames.

An index, which needs the frames, gives the same (``protocols.labels_of``); the annotations are a thousandth of them.
"""

from __future__ import annotations

import re

import numpy as np

from seqtrack.assessment.scores import Bools, Floats, Labels
from seqtrack.data.formats import DatasetName, Tree, find_videos
from seqtrack.data.formats.rows import parse_rows
from seqtrack.errors import DataError

_SIZE = re.compile(rb"^resolution:[ \t]*\((\d+), *(\d+)\)", re.MULTILINE)


def read_own(tree: Tree, benchmark: DatasetName) -> list[Labels] | None:
    """The labels of a benchmark in its publisher's folder or tar; None where its index has to say.

    Raises:
        DataError: names the file that is not there, or the row that is wrong.
    """
    if benchmark.layout not in ("lasot", "got10k"):
        return None
    read = _lasot if benchmark.layout == "lasot" else _got10k
    labels = [read(tree, folder) for folder in find_videos(benchmark, tree)]
    return None if any(one is None for one in labels) else [one for one in labels if one is not None]


def _lasot(tree: Tree, folder: str) -> Labels:
    boxes = _rows(tree, f"{folder}/groundtruth.txt", (4,))
    absent = np.zeros(len(boxes), np.bool_)
    for name in ("full_occlusion", "out_of_view"):
        absent |= flags_of(tree.read(f"{folder}/{name}.txt"), tree.describe(f"{folder}/{name}.txt"), len(boxes))
    return Labels(folder.rpartition("/")[2], boxes, ~absent)


def flags_of(data: bytes, where: str, frames: int) -> Bools:
    """(frames,) LaSOT's flags, one per line or all in one."""
    flags = parse_rows(data, where, (1, frames)).ravel()
    if len(flags) != frames or not np.isin(flags, (0, 1)).all():
        raise DataError(f"{where}: expected {frames} flags, 0 or 1, one per frame; mend it")
    return np.asarray(flags == 1)


def _got10k(tree: Tree, folder: str) -> Labels | None:
    """None where it is not said how large the images are, or what can be seen: ask the index."""
    files = tree.list(folder).files
    prefix = f"{folder}/" if folder else ""
    if "meta_info.ini" not in files or "cover.label" not in files:
        return None
    size = _SIZE.search(tree.read(f"{prefix}meta_info.ini"))
    if size is None:
        return None
    boxes = _rows(tree, f"{prefix}groundtruth.txt", (4,))
    cover = _rows(tree, f"{prefix}cover.label", (1,))[:, 0]
    if len(cover) != len(boxes):
        where = tree.describe(f"{prefix}cover.label")
        raise DataError(f"{where}: {len(cover)} rows for {len(boxes)} of groundtruth.txt; mend it")
    return Labels(
        folder.rpartition("/")[2],
        boxes,
        cover > 0,
        size=(int(size[1]), int(size[2])),
    )


def _rows(tree: Tree, name: str, columns: tuple[int, ...]) -> Floats:
    return parse_rows(tree.read(name), tree.describe(name), columns)
