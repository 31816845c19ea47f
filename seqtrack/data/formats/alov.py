"""ALOV300++, 315 videos of which every fifth frame is labelled.

    imagedata++/<aspect>/<video>/NNNNNNNN.jpg
    alov300++_rectangleAnnotation_full/<aspect>/<video>.ann     frame x1 y1 x2 y2 x3 y3 x4 y4

``frame`` is the number of the file. The four corners are those of an upright rectangle, in an order that differs: the
box is their hull. Aspects (``01-Light``) say what is difficult about a video, not what its target is. Coordinates are
taken as they are: the publisher does not say what the first pixel is.

Smeulders, Chu, Cucchiara, Calderara, Dehghan, Shah: Visual tracking: an experimental survey, PAMI 2014; columns as
jvlmdr/trackdat reads them (``python/trackdat/alov.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    base_of,
    frames_for,
    join,
    parse_rows,
    positions_of,
    refuse_frames,
    video_of_one_target,
)
from seqtrack.data.geometry import polygon_hull

_FRAMES = "imagedata++"
_TRUTHS = "alov300++_rectangleAnnotation_full"
EXPECTED = f"{_FRAMES}/<aspect>/<video>/NNNNNNNN.jpg and {_TRUTHS}/<aspect>/<video>.ann"


class Entry(NamedTuple):
    video: str
    frames: str
    """Folder, relative to the tree."""
    truth: str


def find(tree: Tree, part: str) -> Iterator[Entry]:
    base = base_of(tree, "ALOV300++", "alov300++")
    frames, truths = join(base, _FRAMES), join(base, _TRUTHS)
    for aspect in tree.list(frames).folders:
        labelled = set(tree.list(join(truths, aspect)).files)
        for video in tree.list(join(frames, aspect)).folders:
            folder = join(join(frames, aspect), video)
            if f"{video}.ann" in labelled:
                yield Entry(video, folder, join(join(truths, aspect), f"{video}.ann"))
            else:
                refuse_frames(tree, folder, tree.list(folder), f"{_TRUTHS}/{aspect}/{video}.ann")


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    where = tree.describe(entry.truth)
    frames = frames_for(tree, entry.frames, entry.truth, "NNNNNNNN.jpg there")
    rows = parse_rows(tree.read(entry.truth), where, (9,))
    positions = positions_of(rows[:, 0], frames, where)
    order = np.argsort(positions)
    return video_of_one_target(
        tree,
        entry.video,
        frames,
        polygon_hull(rows[order, 1:]),
        where,
        sizes,
        positions=positions[order],
        rows=order + 1,
    )
