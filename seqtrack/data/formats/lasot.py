"""The LaSOT layout: lasot_train, lasot_test, lasot_ext.

    <class>/<class>-k/
        img/NNNNNNNN.jpg
        groundtruth.txt         x y w h per frame
        full_occlusion.txt      0 or 1 per frame, all in one line, between commas
        out_of_view.txt         the same

The target is absent where it is fully occluded or out of view, as in LaSOT's own flags (pytracking,
``ltr/dataset/lasot.py``); boxes stay as they are written, also there, and two with a negative side (lion-5, tiger-6)
are of absent targets. The visibility is what the flags alone say: three empty boxes of the test part are not flagged,
and LaSOT's evaluation asks the flags. Coordinates are taken as they are: neither LaSOT's evaluation nor pytracking,
pysot or got10k subtracts anything. ``nlp.txt`` (a sentence on the target) is not kept.

Fan et al.: LaSOT, CVPR 2019, whose ``testing_set.txt`` is the source of ``TEST``; the extension: IJCV 2021.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    base_of,
    check_boxes,
    check_length,
    frames_for,
    join,
    original_size,
    parse_rows,
    with_presence,
)
from seqtrack.errors import DataError

EXPECTED = "<class>/<class>-k/img/NNNNNNNN.jpg, groundtruth.txt, full_occlusion.txt and out_of_view.txt"

_TEST = """
airplane 1 9 13 15, basketball 1 6 7 11, bear 2 4 6 17, bicycle 2 7 9 18, bird 2 3 15 17, boat 3 4 12 17,
book 3 10 11 19, bottle 1 12 14 18, bus 2 5 17 19, car 2 6 9 17, cat 1 3 18 20, cattle 2 7 12 13,
spider 14 16 18 20, coin 3 6 7 18, crab 3 6 12 18, surfboard 12 4 5 8, cup 1 4 7 17, deer 4 8 10 14,
dog 1 7 15 19, guitar 3 8 10 16, person 1 5 10 12, pig 2 10 13 18, rubicCube 1 6 14 19, swing 10 14 17 20,
drone 13 15 2 7, pool 12 15 3 7, rabbit 10 13 17 19, racing 10 15 16 20, robot 1 19 5 8, sepia 13 16 6 8,
sheep 3 5 7 9, skateboard 16 19 3 8, tank 14 16 6 9, tiger 12 18 4 6, train 1 11 20 7, truck 16 3 6 7,
turtle 16 5 8 9, umbrella 17 19 2 9, yoyo 15 17 19 7, zebra 10 14 16 17, elephant 1 12 16 18, goldfish 3 7 8 10,
hat 1 2 5 18, kite 4 6 10 15, motorcycle 1 3 9 18, mouse 1 8 9 17, flag 3 9 5 2, frog 3 4 20 9,
gametarget 1 2 7 13, hand 2 3 9 16, helmet 5 11 19 13, licenseplate 6 12 13 15, electricfan 1 10 18 20,
chameleon 3 6 11 20, crocodile 3 4 10 14, gecko 1 5 16 19, fox 2 3 5 20, giraffe 2 10 13 15, gorilla 4 6 9 13,
hippo 1 7 9 20, horse 1 4 12 15, kangaroo 2 5 11 14, leopard 1 7 16 20, lion 1 5 12 20, lizard 1 3 6 13,
microphone 2 6 14 16, monkey 3 4 9 17, shark 2 3 5 6, squirrel 8 11 13 19, volleyball 1 13 18 19
"""

TEST = tuple(f"{name}-{k}" for name, *ks in (words.split() for words in _TEST.split(",")) for k in ks)
"""The 280 sequences of the test part (protocol II), in the publisher's order; the train part is all others."""

EXTENSION = (
    "atv", "badminton", "cosplay", "dancingshoe", "footbag", "frisbee", "jianzi", "lantern", "misc", "opossum",
    "paddle", "raccoon", "rhino", "skatingshoe", "wingsuit",
)  # fmt: skip
"""The classes of the extension; none of them is in the first 1400 sequences."""

# What the archives unpack to, where somebody names the folder above.
_UNPACKED = {"ext": "LaSOT_extension_subset"}
_SEQUENCE = re.compile(r"(.+)-(\d+)")


def find(tree: Tree, part: str) -> Iterator[str]:
    """Sequences that are there, by class and number; of the test part in its own order."""
    there = dict(_sequences(tree, base_of(tree, _UNPACKED.get(part, "LaSOTBenchmark"))))
    tests = frozenset(TEST)
    if part == "test":
        if missing := tests - there.keys():
            raise DataError(
                f"{tree.source}: {len(missing)} of LaSOT's {len(TEST)} test sequences are not there"
                f" ({min(missing)}, …); add them, or name the folder lasot:FOLDER to take whatever is there"
            )
        yield from (there[name] for name in TEST)
        return
    for name, folder in there.items():
        extends = name.rpartition("-")[0] in EXTENSION
        if not part or (extends if part == "ext" else not extends and name not in tests):
            yield folder


def _sequences(tree: Tree, base: str) -> Iterator[tuple[str, str]]:
    """(name, folder) of all that are called as LaSOT calls them, 2 before 10."""
    for category in tree.list(base).folders:
        folders = tree.list(join(base, category)).folders
        matches = [match for name in folders if (match := _SEQUENCE.fullmatch(name)) and match.group(1) == category]
        for match in sorted(matches, key=lambda match: int(match.group(2))):
            yield match.group(), join(base, f"{category}/{match.group()}")


def read(tree: Tree, entry: str, sizes: Sizes) -> VideoAnnotation:
    *_, category, video = entry.split("/")
    images, truth = f"{entry}/img", f"{entry}/groundtruth.txt"
    files = tree.list(entry).files
    for name in ("groundtruth.txt", "full_occlusion.txt", "out_of_view.txt"):
        if name not in files:
            raise DataError(f"{tree.describe(entry)}: no {name}; expected {EXPECTED}")
    frames = frames_for(tree, images, truth, "NNNNNNNN.jpg there")
    where = tree.describe(truth)
    rows = parse_rows(tree.read(truth), where, (4,))
    check_length(len(rows), frames, where)
    size = original_size(tree, video, frames[0], sizes)
    # Published rows such as "613,731,247,-11" (tiger-6) are no boxes, and no reason to refuse the sequence.
    check_boxes(np.maximum(rows, [-np.inf, -np.inf, 0, 0]), size, where)
    boxes, present = with_presence(rows)
    occluded = _flags(tree, f"{entry}/full_occlusion.txt", len(frames))
    outside = _flags(tree, f"{entry}/out_of_view.txt", len(frames))
    track = TrackAnnotation(
        name=video,
        frames=np.arange(len(frames)),
        boxes=boxes,
        present=present & ~occluded & ~outside,
        visibility=np.where(occluded | outside, 0, 1).astype(np.float16),
        occluded=occluded,
        category=category,
    )
    return VideoAnnotation(name=video, frame_names=frames, size=size, tracks=[track])


def _flags(tree: Tree, name: str, frames: int) -> NDArray[np.bool_]:
    """(N,) from one line of 0 and 1."""
    where = tree.describe(name)
    rows = parse_rows(tree.read(name), where, (frames,))
    if len(rows) != 1:
        raise DataError(f"{where}, row 2: expected one line of {frames} flags; mend the file")
    wrong = np.flatnonzero(~np.isin(rows[0], (0, 1)))
    if len(wrong):
        place = int(wrong[0])
        raise DataError(f"{where}, flag {place + 1}: {rows[0, place]:g} is neither 0 nor 1; mend it")
    flags: NDArray[np.bool_] = rows[0] == 1
    return flags
