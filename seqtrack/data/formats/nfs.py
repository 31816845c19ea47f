"""NfS (Need for Speed): 100 videos at 240 frames per second, and the same at 30; parts ``240`` and ``30``.

    <seq>/240/<seq>/NNNNN.jpg       <seq>/240/<seq>.txt
    <seq>/30/<seq>/NNNNN.jpg        <seq>/30/<seq>.txt

A row is VATIC's: ``id x1 y1 x2 y2 frame lost occluded generated "label"``, whose corners count from 0. The file of a
30 fps version has the rows of 240 as well: every eighth, from the first on, labels a frame. How others read it:

- got10k takes every eighth row where there are eight (give or take one) to a frame, and then cuts off a row or frame
  that is left over; it ignores ``lost``. So do we, for any file with too many rows, but ``lost`` says that the target
  is not in view.
- LoRAT's reader takes the rows whose ``frame - 1`` is a multiple of 8: the same rows where frames count from 1. They
  count from 0 in some files (says jvlmdr/trackdat), so we go by the order of the rows.
- pytracking has annotations of its own making (``anno/nfs_<seq>.txt``) for 30 frames per second; not read here.

Galoogahi, Fagg, Huang, Ramanan, Lucey: Need for speed, ICCV 2017.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    base_of,
    frames_for,
    from_corners,
    join,
    parse_rows,
    video_of_one_target,
)
from seqtrack.errors import DataError

EXPECTED = "<seq>/FPS/<seq>.txt and <seq>/FPS/<seq>/NNNNN.jpg with FPS 30 or 240"

_RATIO = 240 // 30
_LABEL = re.compile(rb'[ \t]*".*')
_COLUMNS = (9,)


class Entry(NamedTuple):
    sequence: str
    folder: str
    """``<seq>/<fps>``, relative to the tree."""


def find(tree: Tree, part: str) -> list[Entry]:
    """``part``: frames per second; without one, 240."""
    base, fps = base_of(tree, "NfS", "nfs"), part or "240"
    folders = [(name, join(join(base, name), fps)) for name in tree.list(base).folders]
    entries = []
    for name, folder in folders:
        listing = tree.list(folder)
        if f"{name}.txt" in listing.files:
            entries.append(Entry(name, folder))
        elif name in listing.folders:
            where = tree.describe(join(folder, name))
            raise DataError(f"{where}: frames, but no {name}.txt for them; add it or remove the folder")
    return entries


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    truth = join(entry.folder, f"{entry.sequence}.txt")
    where = tree.describe(truth)
    frames = frames_for(tree, join(entry.folder, entry.sequence), truth, "NNNNN.jpg there")
    rows = parse_rows(_LABEL.sub(b"", tree.read(truth)), where, _COLUMNS)
    step = 1 if abs(len(rows) - len(frames)) <= 1 else _RATIO
    picked = np.arange(0, len(rows), step)
    if abs(len(picked) - len(frames)) == 1:
        shorter = min(len(picked), len(frames))
        picked, frames = picked[:shorter], frames[:shorter]
    if len(picked) != len(frames):
        raise DataError(
            f"{where}: {len(rows)} rows for {len(frames)} frames, neither one nor {_RATIO} a frame;"
            " rows and frames must match: mend the data"
        )
    rows = rows[picked]
    return video_of_one_target(
        tree,
        entry.sequence,
        frames,
        from_corners(rows[:, 1:5]),
        where,
        sizes,
        rows=picked + 1,
        lost=rows[:, 6] != 0,
        occluded=rows[:, 7] != 0,
    )
