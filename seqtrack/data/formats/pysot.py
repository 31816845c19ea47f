"""Benchmarks whose annotations pysot packs into one JSON beside the folders of frames.

    <Name>.json     {sequence: {"video_dir", "img_names", "init_rect", "gt_rect", "attr" | tags, …}}
    <video_dir>/…   frames, at the paths of ``img_names``

``img_names`` are relative to the JSON's folder (or to ``video_dir``); ``gt_rect`` holds four or eight numbers per
frame, NaN or one number alone where there is no target, or the first frame's only; ``absent`` and ``occlusion`` flag
frames; ``width`` and ``height`` save reading an image. Where several JSONs lie in one folder (OTB100, OTB50, CVPR13),
the data set's name says which is meant: ``--data_paths OTB50=/data/OTB100`` and ``pysot:OTB50``.

The numbers are the publisher's own: ``ONE_BASED`` benchmarks count pixels from 1 (SiamRPN's and SiamMask's readers of
these JSONs subtract it too; pysot's own does not). Jogging-1 and Jogging-2 may share the publisher's folder, Jogging,
which pysot wants copied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import MANIFEST, Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import exists, frames_in, join, read_json, video_of_one_target
from seqtrack.data.formats.published import ONE_BASED
from seqtrack.data.geometry import polygon_hull
from seqtrack.errors import DataError

EXPECTED = "<Name>.json with {sequence: {video_dir, img_names, gt_rect}} beside the folders of frames"

_COPY = re.compile(r"(.+)[-_.]\d")


class Entry(NamedTuple):
    file: str
    sequence: str
    record: Mapping[str, Any]
    """What the JSON says of the sequence."""


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """The sequences of the only JSON there, or of the one with the data set's name, in its order."""
    names = [name for name in tree.list().files if name.endswith(".json") and name != MANIFEST]
    own = [name for name in names if name.lower() == f"{tree.name}.json".lower()]
    if len(names) > 1 and not own:
        raise DataError(f"{tree.source}: which of {', '.join(names)}? Call the data set by the name of one of them")
    for file in own or names:
        records = read_json(tree, file)
        if not isinstance(records, dict):
            raise DataError(f"{tree.describe(file)}: expected {EXPECTED}")
        for sequence, record in records.items():
            yield Entry(file, sequence, record)


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    where = f"{tree.describe(entry.file)}, sequence {entry.sequence}"
    record = entry.record
    names = record.get("img_names") if isinstance(record, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{where}: expected img_names, a list of paths; get the file again")
    frames = _frames(tree, names, str(record.get("video_dir", "")), where)
    regions = _regions(record.get("gt_rect"), where)
    if len(regions) not in (1, len(frames)):
        raise DataError(f"{where}: {len(regions)} rows for {len(frames)} frames; rows and frames must match")
    is_polygon = regions.shape[1] == 8
    stem = entry.file.lower()
    return video_of_one_target(
        tree,
        entry.sequence,
        frames,
        polygon_hull(regions) if is_polygon else regions,
        where,
        sizes or _size(entry, where),
        first_pixel=1.0 if stem.startswith(ONE_BASED) else 0.0,
        positions=np.arange(len(regions)),
        lost=_flags(record, "absent", len(regions), where),
        occluded=_flags(record, "occlusion", len(regions), where),
        polygons=regions if is_polygon else None,
    )


def _frames(tree: Tree, names: list[str], video_dir: str, where: str) -> list[str]:
    """The names as they are called in the tree, which has all of them."""
    for rename in (lambda name: name, lambda name: join(video_dir, name), _shared_folder):
        if exists(tree, rename(names[0])):
            frames = [rename(name) for name in names]
            break
    else:
        raise DataError(f"{where}: no frame {names[0]}; expected {EXPECTED}")
    there = {name for folder in {name.rpartition("/")[0] for name in frames} for name in frames_in(tree, folder)}
    missing = next((name for name in frames if name not in there), None)
    if missing is not None:
        raise DataError(f"{where}: no frame {missing}; add it")
    return frames


def _shared_folder(name: str) -> str:
    """``Jogging/img/0001.jpg`` for ``Jogging-1/img/0001.jpg``."""
    folder, slash, rest = name.partition("/")
    copy = _COPY.fullmatch(folder)
    return f"{copy.group(1)}{slash}{rest}" if copy else name


def _regions(value: Any, where: str) -> NDArray[np.float64]:
    """(N, 4) or (N, 8); rows of one number become NaN."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: expected gt_rect, a list of rows; get the file again")
    columns = max((len(row) for row in value if isinstance(row, list)), default=0)
    rows = []
    for number, row in enumerate(value, start=1):
        numbers = row if isinstance(row, list) else []
        if columns not in (4, 8) or len(numbers) not in (1, columns) or not all(map(_is_number, numbers)):
            raise DataError(f"{where}, row {number}: {str(row)[:60]} is not 4 or 8 numbers; mend that row")
        rows.append(numbers if len(numbers) == columns else [math.nan] * columns)
    return np.array(rows, dtype=np.float64)


def _is_number(value: Any) -> bool:
    """NaN is one; what is too large for a float64 is not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return value != value or abs(value) < 1e300


def _flags(record: Mapping[str, Any], key: str, length: int, where: str) -> NDArray[np.bool_]:
    """(length,) from a list of 0 and 1; all False without one. Shorter lists are padded, as vot-toolkit does."""
    values = record.get(key) or []
    if not isinstance(values, list) or (len(values) > length and length > 1) or not all(map(_is_number, values)):
        raise DataError(f"{where}: {key} has to be a list of {length} flags, 0 or 1; mend it")
    flags = np.zeros(length, dtype=bool)
    flags[: len(values)] = np.array(values[:length]) == 1
    return flags


def _size(entry: Entry, where: str) -> Sizes:
    size = (entry.record.get("width"), entry.record.get("height"))
    if size == (None, None):
        return None
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise DataError(f"{where}: width {size[0]} and height {size[1]} are no size of a frame; mend it")
    return {entry.sequence: (int(size[0] or 0), int(size[1] or 0))}
