"""The OTB layout: otb_50, otb_100, otb_cvpr13 and whoever copied it.

    <Seq>/img/NNNN.jpg
    <Seq>/groundtruth_rect.txt          x y w h per frame, 1-based, comma, tab or spaces
    <Seq>/groundtruth_rect.1.txt, .2.txt   two targets in one folder (Jogging, Skating2): two tracks

Wu, Lim, Yang: Object Tracking Benchmark, PAMI 2015; its ``configSeqs.m`` is the source of ``LABELLED``.
Pixels are counted from 1, as in MATLAB, so 1 is subtracted from x and y.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Listing, Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    frame_number,
    frames_in,
    join,
    original_size,
    parse_rows,
    walk,
    with_presence,
)
from seqtrack.errors import DataError

EXPECTED = "<Seq>/img/NNNN.jpg and <Seq>/groundtruth_rect.txt"

LABELLED: dict[str, tuple[int, int]] = {
    "BlurCar1": (247, 988),
    "BlurCar3": (3, 359),
    "BlurCar4": (18, 397),
    "David": (300, 770),
    "Diving": (1, 215),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
    # The file has 354 rows; OTB's own evaluation and pysot leave the first five out.
    "Tiger1": (6, 354),
}
"""Sequences whose labels do not cover all frames: numbers of the first and last labelled file."""

_TRUTH = re.compile(r"groundtruth_rect(?:\.(\d+))?\.txt$")


class Entry(NamedTuple):
    folder: str
    """Relative to the tree; '' where the tree itself is one sequence."""
    truths: tuple[tuple[str, str], ...]
    """(number of the target or '', file name), sorted."""


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """Every folder of the tree (or the tree itself) that holds a ground truth."""
    for folder, listing in walk(tree, into=lambda _, listing: not _truths(listing)):
        if truths := _truths(listing):
            yield Entry(folder, truths)
        elif "img" in listing.folders and frames_in(tree, join(folder, "img")):
            raise DataError(
                f"{tree.describe(folder) if folder else tree.source}: frames in img/ but no groundtruth_rect.txt;"
                " add it or remove the folder"
            )


def _truths(listing: Listing) -> tuple[tuple[str, str], ...]:
    found = [(match.group(1) or "", name) for name in listing.files if (match := _TRUTH.fullmatch(name))]
    return tuple(sorted(found))


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    folder, truths = entry
    video = folder or tree.name
    images = join(folder, "img")
    frames = frames_in(tree, images)
    if not frames:
        raise DataError(f"{tree.describe(images)}: no frames for {truths[0][1]}; expected NNNN.jpg there")
    return VideoAnnotation(
        name=video,
        frame_names=frames,
        size=original_size(tree, video, frames[0], sizes),
        tracks=[
            _track(tree, join(folder, name), video, f"{video}-{k}" if k else video, frames) for k, name in truths
        ],
    )


def _track(tree: Tree, name: str, video: str, track: str, frames: list[str]) -> TrackAnnotation:
    where = tree.describe(name)
    rows = parse_rows(tree.read(name), where, (4,))
    positions, rows = _align(rows, frames, video.rpartition("/")[2], where)
    boxes, present = with_presence(rows)
    boxes[:, :2] -= 1.0
    return TrackAnnotation(
        name=track,
        frames=positions,
        boxes=boxes,
        present=present,
        occluded=np.zeros(len(boxes), dtype=bool),
    )


def _align(
    rows: NDArray[np.float64], frames: list[str], sequence: str, where: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which frame each row labels: positions in ``frames``, and the rows that count."""
    everything = np.arange(len(frames))
    numbers = [frame_number(name) for name in frames]
    labelled = everything
    window = _window(sequence)
    if window is not None and set(window) <= set(numbers):
        first, last = numbers.index(window[0]), numbers.index(window[1])
        labelled = everything[first : last + 1]
    if len(rows) == len(frames):
        return labelled, rows[labelled]
    if len(rows) == len(labelled):
        return labelled, rows
    quirk = f" (of which {len(labelled)} are known to be labelled)" if window is not None else ""
    raise DataError(
        f"{where}: {len(rows)} rows for {len(frames)} frames{quirk}; rows and frames must match: mend the data"
    )


def _window(sequence: str) -> tuple[int, int] | None:
    # Names vary in case between copies of the benchmark (Blurcar4).
    for name, window in LABELLED.items():
        if name.lower() == sequence.lower():
            return window
    return None
