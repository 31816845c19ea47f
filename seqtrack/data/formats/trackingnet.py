"""The TrackingNet layout: trackingnet_train, trackingnet_test.

    TRAIN_0 … TRAIN_11, TEST/
        anno/<video>.txt            x y w h per frame; of TEST the first box only
        frames/<video>/N.jpg        counted from 0, without leading zeros

Categories, which the publisher does not ship, are taken from either file that others made of YouTube-BB's classes, if
it lies in the data set's folder: ``trackingnet_classmap.txt`` of pytracking (``video<tab>class``), or
``TRAIN_k_classinfo.txt`` of PySiamTracking (``video,number``), perhaps in ``TrackingNet_class_info/``. Coordinates
are taken as they are, as in the publisher's ``TrackingNet-devkit``, in got10k and in pytracking.

Müller et al.: TrackingNet, ECCV 2018.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import NO_CLASS, frames_for, parse_rows, read_list, video_of_one_target
from seqtrack.errors import DataError

EXPECTED = "TRAIN_k/anno/<video>.txt and TRAIN_k/frames/<video>/N.jpg (TEST/… of the test part)"

CLASSES = (
    "person", "bird", "bicycle", "boat", "bus", "bear", "cow", "cat", "giraffe", "potted plant", "horse",
    "motorcycle", "knife", "airplane", "skateboard", "train", "truck", "zebra", "toilet", "dog", "elephant",
    "umbrella", "none", "car",
)  # fmt: skip
"""By YouTube-BB's number, which is what ``TRAIN_k_classinfo.txt`` has; -1 is unknown there."""

_SUBSET = re.compile(r"TRAIN_(\d+)|TEST")
_BY_NUMBER = {str(number): name for number, name in enumerate(CLASSES)} | {"-1": ""}
_CLASS_FOLDER = "TrackingNet_class_info"
_CLASS_FILE = re.compile(r"(?:^|/)(?:trackingnet_classmap|TRAIN_\d+_classinfo)\.txt$")


class Entry(NamedTuple):
    subset: str
    """``TRAIN_3`` or ``TEST``."""
    video: str
    category: str


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """The videos of the subsets that are there, TRAIN_2 before TRAIN_10, TEST last."""
    found = [match for name in tree.list().folders if (match := _SUBSET.fullmatch(name))]
    categories = _categories(tree)
    for subset in sorted(found, key=lambda match: (not match.group(1), int(match.group(1) or 0))):
        name = subset.group()
        if part and name.startswith("TEST") != (part == "test"):
            continue
        annotations = tree.list(f"{name}/anno").files
        videos = [file.removesuffix(".txt") for file in annotations if file.endswith(".txt")]
        bare = sorted(set(tree.list(f"{name}/frames").folders) - set(videos))
        if bare:
            raise DataError(
                f"{tree.describe(f'{name}/frames/{bare[0]}')}: frames but no {name}/anno/{bare[0]}.txt;"
                " add it or remove the folder"
            )
        for video in videos:
            yield Entry(name, video, categories.get(video, ""))


def _categories(tree: Tree) -> dict[str, str]:
    """Category by video, from whichever class files are there; empty without any."""
    names = list(tree.list().files)
    names += [f"{_CLASS_FOLDER}/{name}" for name in tree.list(_CLASS_FOLDER).files]
    found: dict[str, str] = {}
    for name in names:
        if _CLASS_FILE.search(name):
            found.update(_class_file(tree, name))
    return found


def _class_file(tree: Tree, name: str) -> Iterator[tuple[str, str]]:
    """(video, category) of each line."""
    numbered = not name.endswith("map.txt")
    for number, line in enumerate(read_list(tree, name), start=1):
        video, _, text = line.partition("," if numbered else "\t")
        category = _BY_NUMBER.get(text.strip()) if numbered else text.strip() or None
        if not video or category is None:
            wanted = f"video,number with a number below {len(CLASSES)}" if numbered else "video<tab>class"
            raise DataError(
                f"{tree.describe(name)}, row {number}: {line[:60]!r} where {wanted} is expected; mend that row"
            )
        yield video.strip(), "" if category == NO_CLASS else category


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    truth = f"{entry.subset}/anno/{entry.video}.txt"
    frames = frames_for(tree, f"{entry.subset}/frames/{entry.video}", truth, "N.jpg there")
    where = tree.describe(truth)
    boxes = parse_rows(tree.read(truth), where, (4,))
    first_only = np.arange(1) if entry.subset == "TEST" and len(boxes) == 1 else None
    return video_of_one_target(
        tree, entry.video, frames, boxes, where, sizes, positions=first_only, category=entry.category
    )
