"""UAV123: 123 sequences from drones, and UAV20L: 20 long ones of the same videos; parts ``uav123`` and ``uav20l``.

    data_seq/UAV123/<video>/NNNNNN.jpg
    anno/UAV123/<sequence>.txt      x y w h per frame of the sequence, 1-based; NaN while the target is out of view
    anno/UAV20L/<sequence>.txt

Sequences such as bird1_1, bird1_2, bird1_3 are pieces of one video, from start to end as the publisher's
``configSeqs.m`` has them; here they are tracks of that video. A sequence that is not in these tables labels all
frames of the video of its name.

Mueller, Smith, Ghanem: A benchmark and simulator for UAV tracking, ECCV 2016. It is evaluated with OTB's MATLAB
toolkit, and its boxes count from 1: no x or y is less, 2,016 are 1, and 1,420 boxes that the bottom cuts off end at
721 in frames of 720 pixels. got10k and pytracking take the numbers as they are, so their x and y are 1 more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    base_of,
    check_boxes,
    check_length,
    exists,
    frames_for,
    join,
    move,
    original_size,
    parse_rows,
    positions_of,
    with_presence,
)
from seqtrack.errors import DataError

EXPECTED = "data_seq/UAV123/<video>/NNNNNN.jpg and anno/UAV123/<sequence>.txt (or anno/UAV20L/…)"

_FOLDERS = {"": "UAV123", "uav123": "UAV123", "uav20l": "UAV20L"}

PIECES: dict[str, tuple[tuple[int, int], ...]] = {
    "bird1": ((1, 253), (775, 1477), (1573, 2437)), "car1": ((1, 751), (751, 1627), (1627, 2629)),
    "car6": ((1, 487), (487, 1807), (1807, 2953), (2953, 3925), (3925, 4861)), "car8": ((1, 1357), (1357, 2575)),
    "car16": ((1, 415), (415, 1993)), "group1": ((1, 1333), (1333, 2515), (2515, 3925), (3925, 4873)),
    "group2": ((1, 907), (907, 1771), (1771, 2683)),
    "group3": ((1, 1567), (1567, 2827), (2827, 4369), (4369, 5527)), "person2": ((1, 1189), (1189, 2623)),
    "person4": ((1, 1501), (1501, 2743)), "person5": ((1, 877), (877, 2101)),
    "person7": ((1, 1249), (1249, 2065)), "person8": ((1, 1075), (1075, 1525)),
    "person12": ((1, 601), (601, 1621)), "person14": ((1, 847), (847, 1813), (1813, 2923)),
    "person17": ((1, 1501), (1501, 2347)), "person19": ((1, 1243), (1243, 2791), (2791, 4357)),
    "truck4": ((1, 577), (577, 1261)), "uav1": ((1, 1555), (1555, 2377), (2473, 3469)),
}  # fmt: skip
"""Videos of several sequences of UAV123: numbers of the first and last frame of ``<video>_1``, ``<video>_2``, …."""

LENGTHS: dict[str, int] = {
    "bike1": 3085, "bike2": 553, "bike3": 433, "boat1": 901, "boat2": 799, "boat3": 901, "boat4": 553,
    "boat5": 505, "boat6": 805, "boat7": 535, "boat8": 685, "boat9": 1399, "building1": 469, "building2": 577,
    "building3": 829, "building4": 787, "building5": 481, "car2": 1321, "car3": 1717, "car4": 1345, "car5": 745,
    "car7": 1033, "car9": 1879, "car10": 1405, "car11": 337, "car12": 499, "car13": 415, "car14": 1327,
    "car15": 469, "car17": 1057, "car18": 1207, "person1": 799, "person3": 643, "person6": 901, "person9": 661,
    "person10": 1021, "person11": 721, "person13": 883, "person15": 1339, "person16": 1147, "person18": 1393,
    "person20": 1783, "person21": 487, "person22": 199, "person23": 397, "truck1": 463, "truck2": 385,
    "truck3": 535, "uav2": 133, "uav3": 265, "uav4": 157, "uav5": 139, "uav6": 109, "uav7": 373, "uav8": 301,
    "wakeboard1": 421, "wakeboard2": 733, "wakeboard3": 823, "wakeboard4": 697, "wakeboard5": 1675,
    "wakeboard6": 1165, "wakeboard7": 199, "wakeboard8": 1543, "wakeboard9": 355, "wakeboard10": 469,
    "car1_s": 1475, "car2_s": 320, "car3_s": 1300, "car4_s": 830, "person1_s": 1600, "person2_s": 250,
    "person3_s": 505,
}  # fmt: skip
"""Videos of one sequence, from frame 1 on: number of the last frame."""

LONG = (
    "bike1", "bird1", "car1", "car3", "car6", "car8", "car9", "car16", "group1", "group2", "group3", "person2",
    "person4", "person5", "person7", "person14", "person17", "person19", "person20", "uav1",
)  # fmt: skip
"""Sequences of UAV20L: these videos from frame 1 to the end of their last piece."""


class Piece(NamedTuple):
    sequence: str
    truth: str
    """File, relative to the tree."""
    window: tuple[int, int] | None
    """Numbers of its first and last frame; None: not published, all frames."""


class Entry(NamedTuple):
    video: str
    frames: str
    """Folder, relative to the tree."""
    tracks: tuple[Piece, ...]


def windows(part: str) -> dict[str, tuple[str, int, int]]:
    """Video, first and last frame of each published sequence of a part."""
    if part == "uav20l":
        return {name: (name, 1, LENGTHS.get(name) or PIECES[name][-1][1]) for name in LONG}
    pieces = {
        f"{video}_{k}": (video, first, last)
        for video, parts in PIECES.items()
        for k, (first, last) in enumerate(parts, start=1)
    }
    return pieces | {video: (video, 1, last) for video, last in LENGTHS.items()}


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """One entry per video that has a sequence; whatever annotations are there, published or one's own."""
    base, known = base_of(tree, "UAV123"), windows(part)
    videos, truths = join(base, "data_seq/UAV123"), join(base, f"anno/{_FOLDERS[part]}")
    there = {name.removesuffix(".txt") for name in tree.list(truths).files if name.endswith(".txt")}
    for sequence, (video, _, _) in known.items():
        if sequence not in there and exists(tree, join(videos, video)):
            truth = tree.describe(join(truths, f"{sequence}.txt"))
            raise DataError(f"{truth}: is not there, but its frames are in {video}/; add it or remove the folder")
    pieces: dict[str, list[Piece]] = {}
    for sequence in sorted(there):
        video, *window = known.get(sequence, (sequence,))
        piece = Piece(sequence, join(truths, f"{sequence}.txt"), (window[0], window[1]) if window else None)
        pieces.setdefault(video, []).append(piece)
    for video, tracks in pieces.items():
        yield Entry(video, join(videos, video), tuple(tracks))


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    frames = frames_for(tree, entry.frames, entry.tracks[0].truth, "NNNNNN.jpg there")
    size = original_size(tree, entry.video, frames[0], sizes)
    tracks = []
    for sequence, truth, window in entry.tracks:
        where = tree.describe(truth)
        rows = parse_rows(tree.read(truth), where, (4,))
        check_boxes(rows, size, where)
        tracks.append(_track(sequence, rows, _labelled(rows, frames, window, where)))
    return VideoAnnotation(name=entry.video, frame_names=frames, size=size, tracks=tracks)


def _labelled(
    rows: NDArray[np.float64], frames: Sequence[str], window: tuple[int, int] | None, where: str
) -> NDArray[np.int64]:
    """Positions in ``frames`` that the rows label."""
    if window is None:
        check_length(len(rows), frames, where)
        return np.arange(len(frames))
    first, last = window
    if len(rows) != last - first + 1:
        raise DataError(
            f"{where}: {len(rows)} rows for frames {first} to {last}; rows and frames must match: mend the data"
        )
    return positions_of(np.arange(first, last + 1), frames, where)


def _track(name: str, rows: NDArray[np.float64], positions: NDArray[np.int64]) -> TrackAnnotation:
    boxes, present = with_presence(rows)
    move(boxes, -1.0)
    occluded = np.zeros(len(boxes), dtype=bool)
    return TrackAnnotation(name=name, frames=positions, boxes=boxes, present=present, occluded=occluded)
