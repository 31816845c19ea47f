"""The YouTube-BoundingBoxes layout: ytbb_train, ytbb_val.

    yt_bb_detection_train.csv (yt_bb_detection_validation.csv)
        youtube_id, timestamp_ms, class_id, class_name, object_id, object_presence, xmin, xmax, ymin, ymax
    yt_bb_detection_train/<class_id>/<youtube_id>_<timestamp_ms>_<class_id>_<object_id>.jpg

The publisher ships the table only, with one row a second; the pictures are those that youtube-bb-utility cuts from
YouTube's videos, as pysot (``training_dataset/yt_bb``) and PySiamTracking read them. Names that mbuckler's tools
give, ``<youtube_id>+<class_id>+<object_id>+<timestamp_ms>.jpg``, are found too. Each segment (youtube_id, class_id,
object_id) is a video of its own with one track. Videos vanish from YouTube, and nobody saves the pictures of rows
without a target: rows without a picture are no labels, and segments without any are left out.

Coordinates are shares of the picture's width and height, edge to edge, so they are multiplied and nothing is
subtracted; -1 in rows that say ``absent``.

Real et al.: YouTube-BoundingBoxes, CVPR 2017.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import NO_CLASS, contains, original_size, with_presence
from seqtrack.errors import DataError

EXPECTED = "yt_bb_detection_<train or validation>.csv and, beside it, yt_bb_detection_<…>/<class_id>/*.jpg"
WITHIN_FRAME = True

_TABLES = {"train": "yt_bb_detection_train", "val": "yt_bb_detection_validation"}
_PRESENCE = ("present", "absent", "uncertain")
_ABSENT = (np.nan,) * 4
_PATTERNS = ("{video}_{time}_{kind}_{number}.jpg", "{video}+{kind}+{number}+{time}.jpg")


class Row(NamedTuple):
    segment: tuple[str, str, str]
    """youtube_id, class_id, object_id."""
    time: int
    """Milliseconds."""
    category: str
    corners: tuple[float, float, float, float]
    """xmin, xmax, ymin, ymax as shares of the picture; nan where the target is absent."""


class Entry(NamedTuple):
    video: str
    category: str
    frames: list[str]
    corners: list[tuple[float, float, float, float]]
    """As in ``Row``, one for each frame."""


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """The segments with at least one picture, in the order of the table. All rows of one must follow each other."""
    files = tree.list().files
    for key, table in _TABLES.items():
        if part in ("", key) and f"{table}.csv" in files:
            yield from _segments(tree, table)


def _segments(tree: Tree, table: str) -> Iterator[Entry]:
    pictures: dict[str, Sequence[str]] = {}
    done: set[tuple[str, str, str]] = set()
    where = tree.describe(f"{table}.csv")
    for segment, group in groupby(_rows(tree.read(f"{table}.csv"), where), key=lambda row: row.segment):
        if segment in done:
            raise DataError(f"{where}: the rows of {'+'.join(segment)} do not follow each other; sort the table")
        done.add(segment)
        folder = f"{table}/{segment[1]}"
        if folder not in pictures:
            pictures[folder] = tree.list(folder).files
        rows = sorted(group, key=lambda row: row.time)
        found = [(name, row.corners) for row in rows if (name := _picture(row, pictures[folder]))]
        if found:
            frames = [f"{folder}/{name}" for name, _ in found]
            yield Entry("+".join(segment), rows[0].category, frames, [corners for _, corners in found])


def _picture(row: Row, there: Sequence[str]) -> str:
    """The picture's name, '' if it is not among those sorted names."""
    video, kind, number = row.segment
    names = (pattern.format(video=video, time=row.time, kind=kind, number=number) for pattern in _PATTERNS)
    return next((name for name in names if contains(there, name)), "")


def _rows(data: bytes, where: str) -> Iterator[Row]:
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(lines)
    try:
        for words in reader:
            if words and words[0] != "youtube_id":
                yield _row(words, f"{where}, row {reader.line_num}")
    except csv.Error as error:
        raise DataError(f"{where}, row {reader.line_num}: not CSV ({error}); mend that row") from error


def _row(words: list[str], where: str) -> Row:
    if len(words) != 10:
        raise DataError(f"{where}: {len(words)} columns where 10 are expected, youtube_id … ymax; mend that row")
    video, time, kind, category, number, presence, *texts = words
    try:
        left, right, top, bottom = (float(text) for text in texts)
        moment = int(time)
    except ValueError as error:
        raise DataError(f"{where}: {','.join(words)[:80]!r} has no number where one is expected; mend it") from error
    if not (kind.isdecimal() and number.isdecimal()) or presence not in _PRESENCE:
        raise DataError(
            f"{where}: class {kind!r}, object {number!r}, {presence!r}; expected two numbers and one of"
            f" {', '.join(_PRESENCE)}: mend that row"
        )
    seen = presence == "present"
    if seen and not (left <= right and top <= bottom and math.isfinite(left + right + top + bottom)):
        raise DataError(f"{where}: xmin, xmax, ymin, ymax are {', '.join(texts)}, not a box; mend that row")
    category = "" if category == NO_CLASS else category
    return Row((video, kind, number), moment, category, (left, right, top, bottom) if seen else _ABSENT)


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    size = original_size(tree, entry.video, entry.frames[0], sizes)
    left, right, top, bottom = (np.array(entry.corners) * np.repeat(size, 2)).T
    boxes, present = with_presence(np.stack([left, top, right - left, bottom - top], axis=1))
    track = TrackAnnotation(
        name=entry.video,
        frames=np.arange(len(boxes)),
        boxes=boxes,
        present=present,
        occluded=np.zeros(len(boxes), dtype=bool),
        category=entry.category,
    )
    return VideoAnnotation(name=entry.video, frame_names=entry.frames, size=size, tracks=[track])
