"""The OTB layout: otb_50, otb_100, otb_cvpr13 and whoever copied it.

    <Seq>/img/NNNN.jpg
    <Seq>/groundtruth_rect.txt          x y w h per frame, 1-based, comma, tab or spaces
    <Seq>/groundtruth_rect.1.txt, .2.txt   two targets in one folder (Jogging, Skating2): two tracks

Wu, Lim, Yang: Object Tracking Benchmark, PAMI 2015; its ``configSeqs.m`` is the source of ``LABELLED``.
Pixels are counted from 1, as in MATLAB, so 1 is subtracted from x and y.

A folder of two targets may also have been copied once for each (Jogging-1, Jogging-2), as pysot asks for; each copy
then stands for its own target. Human4 is one target, the second: its first file is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Listing, Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    check_boxes,
    check_length,
    frame_number,
    frames_for,
    frames_in,
    join,
    move,
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
# Names vary in case between copies of the benchmark (Blurcar4).
_WINDOWS = {name.lower(): window for name, window in LABELLED.items()}

_FIFTY = """
    Basketball Biker Bird1 BlurBody BlurCar2 BlurFace BlurOwl Bolt Box Car1 Car4 CarDark CarScale ClifBar Couple
    Crowds David Deer Diving DragonBaby Dudek Football Freeman4 Girl Human3 Human4 Human6 Human9 Ironman Jump
    Jumping Liquor Matrix MotorRolling Panda RedTeam Shaking Singer2 Skating1 Skating2 Skiing Soccer Surfer
    Sylvester Tiger2 Trellis Walking Walking2 Woman
"""
_OTHER_FIFTY = """
    Bird2 BlurCar1 BlurCar3 BlurCar4 Board Bolt2 Boy Car2 Car24 Coke Coupon Crossing Dancer Dancer2 David2 David3
    Dog Dog1 Doll FaceOcc1 FaceOcc2 Fish FleetFace Football1 Freeman1 Freeman3 Girl2 Gym Human2 Human5 Human7 Human8
    Jogging KiteSurf Lemming Man Mhyang MountainBike Rubik Singer1 Skater Skater2 Subway Suv Tiger1 Toy Trans
    Twinnings Vase
"""
_CVPR13 = """
    Basketball Bolt Boy Car4 CarDark CarScale Coke Couple Crossing David David2 David3 Deer Dog1 Doll Dudek FaceOcc1
    FaceOcc2 Fish FleetFace Football Football1 Freeman1 Freeman3 Freeman4 Girl Ironman Jogging Jumping Lemming
    Liquor Matrix Mhyang MotorRolling MountainBike Shaking Singer1 Singer2 Skating1 Skiing Soccer Subway Suv
    Sylvester Tiger1 Tiger2 Trellis Walking Walking2 Woman
"""
PARTS: dict[str, list[str]] = {
    "50": sorted(_FIFTY.split()),
    "100": sorted(_FIFTY.split() + _OTHER_FIFTY.split()),
    "cvpr13": sorted(_CVPR13.split()),
}
"""Folders of each benchmark (``tb_50.txt``, ``tb_100.txt``, ``cvpr13.txt`` of its toolkit): 50, 100, 51 targets."""

_TRUTH = re.compile(r"groundtruth_rect(?:\.(\d+))?\.txt$")
_COPY = re.compile(r"(Jogging|Skating2|Human4)[-_.]([12])", re.IGNORECASE)


class Entry(NamedTuple):
    folder: str
    """Relative to the tree; '' where the tree itself is one sequence."""
    truths: tuple[tuple[str, str], ...]
    """(number of the target or '', file name), sorted."""


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """Every folder of the tree (or the tree itself) that holds a ground truth; a part chooses and orders."""
    everything = _find_all(tree)
    return _chosen(tree, list(everything), part) if part else everything


def _find_all(tree: Tree) -> Iterator[Entry]:
    for folder, listing in walk(tree, into=lambda _, listing: not _truths(listing)):
        if truths := _truths(listing):
            copy = _COPY.fullmatch(_sequence(folder))
            own = tuple(truth for truth in truths if copy and truth[0] == copy.group(2))
            yield Entry(folder, own or truths)
        elif "img" in listing.folders and frames_in(tree, join(folder, "img")):
            raise DataError(
                f"{tree.describe(folder) if folder else tree.source}: frames in img/ but no groundtruth_rect.txt;"
                " add it or remove the folder"
            )


def _truths(listing: Listing) -> tuple[tuple[str, str], ...]:
    found = [(match.group(1) or "", name) for name in listing.files if (match := _TRUTH.fullmatch(name))]
    return tuple(sorted(found))


def _sequence(folder: str) -> str:
    return folder.rpartition("/")[2]


def _chosen(tree: Tree, entries: list[Entry], part: str) -> Iterator[Entry]:
    """The sequences of a benchmark among all that are there; names vary in case between copies (Faceocc1)."""
    whole = {_sequence(entry.folder).lower(): entry for entry in entries}
    copies: dict[str, list[Entry]] = {}
    for entry in entries:
        if copy := _COPY.fullmatch(_sequence(entry.folder)):
            copies.setdefault(copy.group(1).lower(), []).append(entry)
    there = {key: [entry] for key, entry in whole.items()}
    wanted = [(name, there.get(name.lower()) or copies.get(name.lower(), [])) for name in PARTS[part]]
    missing = [name for name, found in wanted if not found]
    if missing and entries:
        some = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise DataError(
            f"{tree.source}: {len(missing)} of the {len(wanted)} sequences of otb_{part} are not there ({some});"
            " add them, or name the folder otb:FOLDER to take whatever is there"
        )
    return (entry for _, found in wanted for entry in found)


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    folder, truths = entry
    video = folder or tree.name
    frames = frames_for(tree, join(folder, "img"), truths[0][1], "NNNN.jpg there")
    size = original_size(tree, video, frames[0], sizes)
    texts = [(k, join(folder, name), tree.read(join(folder, name))) for k, name in truths]
    filled = [text for text in texts if text[2].strip()] or texts
    tracks = []
    for k, name, text in filled:
        where = tree.describe(name)
        rows = parse_rows(text, where, (4,))
        check_boxes(rows, size, where)
        positions, rows = _align(rows, frames, _sequence(video), where)
        is_own = not k or _COPY.fullmatch(_sequence(video))
        tracks.append(_track(video if is_own else f"{video}-{k}", positions, rows))
    return VideoAnnotation(name=video, frame_names=frames, size=size, tracks=tracks)


def _track(name: str, positions: NDArray[np.int64], rows: NDArray[np.float64]) -> TrackAnnotation:
    boxes, present = with_presence(rows)
    move(boxes, -1.0)
    return TrackAnnotation(
        name=name,
        frames=positions,
        boxes=boxes,
        present=present,
        occluded=np.zeros(len(boxes), dtype=bool),
    )


def _align(
    rows: NDArray[np.float64], frames: Sequence[str], sequence: str, where: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which frame each row labels: positions in ``frames``, and the rows that count."""
    everything = np.arange(len(frames))
    labelled = everything
    window = _window(sequence)
    if window is not None:
        numbers = [frame_number(name) for name in frames]
        if set(window) <= set(numbers):
            labelled = everything[numbers.index(window[0]) : numbers.index(window[1]) + 1]
    if len(rows) == len(frames):
        return labelled, rows if labelled is everything else rows[labelled]
    if len(rows) != len(labelled):
        quirk = f" (of which {len(labelled)} are known to be labelled)" if window is not None else ""
        check_length(len(rows), frames, where, quirk)
    return labelled, rows


def _window(sequence: str) -> tuple[int, int] | None:
    return _WINDOWS.get(sequence.lower())
