"""The GOT-10k layout: got10k_train, got10k_val, got10k_test.

    {train,val,test}/list.txt                   names of the sequences, in order
    {train,val,test}/GOT-10k_<Split>_NNNNNN/
        NNNNNNNN.jpg
        groundtruth.txt     x y w h per frame; of a test sequence the first box only
        absence.label       1 where the target is not in view
        cover.label         0 … 8: eighths of the target that can be seen
        meta_info.ini       ``object_class`` is the category

Coordinates are taken as they are: the publisher's toolkit (got-10k/toolkit, ``datasets/got10k.py``) subtracts
nothing, and its metrics clip boxes to [0, width]. ``cut_by_image.label`` is not kept. The unpacked archives may lie
in their own folders (``GOT-10k_Train_split_01/``). The target is present where its cover is not 0 and it is not
flagged as absent. The visibility is the cover alone, as it stands: the toolkit's evaluation counts the frames where
it is not 0, and asks no flag.

Huang, Zhao, Huang: GOT-10k, PAMI 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Listing, Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    base_of,
    check_length,
    frames_among,
    join,
    parse_rows,
    read_list,
    video_of_one_target,
)
from seqtrack.errors import DataError

EXPECTED = "{train,val,test}/GOT-10k_<Split>_NNNNNN/NNNNNNNN.jpg and groundtruth.txt"

_PARTS = ("train", "val", "test")
_TRUTH = "groundtruth.txt"
_EIGHTHS = 8
_ARCHIVE = re.compile(r".+_split_\d+")
_CLASS = re.compile(r"^object_class:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)


def find(tree: Tree, part: str) -> Iterator[str]:
    """The sequences of ``list.txt``, or all folders where there is none. '' means all parts that are there."""
    if part:
        folders = [base_of(tree, part)]
    else:
        folders = [name for name in _PARTS if name in tree.list().folders] or [""]
    for folder in folders:
        listing = tree.list(folder)
        there = dict(_sequences(tree, folder, listing))
        if "list.txt" not in listing.files:
            yield from there.values()
            continue
        name = join(folder, "list.txt")
        for number, sequence in enumerate(read_list(tree, name), start=1):
            if sequence not in there:
                raise DataError(
                    f"{tree.describe(name)}, row {number}: sequence {sequence!r} is not there; add it or drop the row"
                )
            yield there[sequence]


def _sequences(tree: Tree, folder: str, listing: Listing) -> Iterator[tuple[str, str]]:
    for name in listing.folders:
        path = join(folder, name)
        if _ARCHIVE.fullmatch(name):
            yield from _sequences(tree, path, tree.list(path))
        else:
            yield name, path


def read(tree: Tree, entry: str, sizes: Sizes) -> VideoAnnotation:
    video = entry.rpartition("/")[2]
    files = tree.list(entry).files
    truth = join(entry, _TRUTH)
    frames = frames_among(files, entry)
    if _TRUTH not in files or not frames:
        missing = "no frames" if _TRUTH in files else f"no {_TRUTH}"
        raise DataError(f"{tree.describe(entry)}: {missing}; expected NNNNNNNN.jpg and {_TRUTH} there")
    where = tree.describe(truth)
    boxes = parse_rows(tree.read(truth), where, (4,))
    first_only = np.arange(1) if "_Test_" in video and len(boxes) == 1 else None
    labelled = frames[:1] if first_only is not None else frames
    absent = _labels(tree, entry, "absence.label", files, labelled, highest=1)
    cover = _labels(tree, entry, "cover.label", files, labelled, highest=_EIGHTHS)
    lost = None if absent is None else absent == 1
    visibility = occluded = None
    if cover is not None:
        lost = cover == 0 if lost is None else lost | (cover == 0)
        visibility = cover / _EIGHTHS
        occluded = ~lost & (cover < _EIGHTHS)
    return video_of_one_target(
        tree,
        video,
        frames,
        boxes,
        where,
        sizes,
        positions=first_only,
        lost=lost,
        occluded=occluded,
        category=_category(tree, entry, files),
        visibility=None if visibility is None else visibility.astype(np.float16),
    )


def _labels(
    tree: Tree, folder: str, file: str, files: Sequence[str], frames: Sequence[str], highest: int
) -> NDArray[np.float64] | None:
    """(N,) whole numbers from 0 to ``highest``; None where the sequence (of the test part) has no such file."""
    if file not in files:
        return None
    name = join(folder, file)
    where = tree.describe(name)
    values: NDArray[np.float64] = parse_rows(tree.read(name), where, (1,))[:, 0]
    check_length(len(values), frames, where)
    wrong = np.flatnonzero(~np.isin(values, np.arange(highest + 1)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{where}, row {row + 1}: {values[row]:g} is not a number from 0 to {highest}; mend that row")
    return values


def _category(tree: Tree, folder: str, files: Sequence[str]) -> str:
    if "meta_info.ini" not in files:
        return ""
    found = _CLASS.search(tree.read(join(folder, "meta_info.ini")).decode("utf-8-sig", errors="replace"))
    return found.group(1) if found else ""
