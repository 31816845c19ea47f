"""The truth that results are scored against, from annotations alone: no frame is looked at where it can be helped.

    {folder}/{seq}.txt                    as toolkits carry them along; LaSOT's absence in {folder}/absent/{seq}.txt
                                          or beside it: ../absent/{seq}.txt
    {Name}.json                           pysot's: {seq: {gt_rect, attr, width, height, absent, tags…}}
    {folder}/, {file}.tar                 the publisher's own, read as training reads it (``data.formats``); of LaSOT
                                          and GOT-10k their annotations alone (``publishers``)

Coordinates are the publisher's own, as result files have them: those of OTB, UAV123, TempleColor and DTB70 count
pixels from 1. (An index counts from 0 everywhere, so 1 is added back, which is exact.)
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.assessment.benchmark import first_pixel
from seqtrack.assessment.exchange.benchmarks import SERVED, in_order, same_sequences, window
from seqtrack.assessment.exchange.publishers import flags_of, read_own
from seqtrack.assessment.protocols import labels_of
from seqtrack.assessment.scores import Bools, Floats, Labels
from seqtrack.data.datasets import open_index_of
from seqtrack.data.formats import DatasetName, Tree
from seqtrack.data.formats.common import with_presence
from seqtrack.data.formats.marks import TAGS, read_marks
from seqtrack.data.formats.rows import parse_rows
from seqtrack.data.geometry import polygon_hull
from seqtrack.data.indexing.index import Index
from seqtrack.data.locations import ORIGINAL, Locations, locate
from seqtrack.data.storage.files import read_file
from seqtrack.errors import DataError, SeqtrackError, UserError

_ABSENT = ("absent", "../absent")
_BELOW = ("anno", "annos", "annotations", "gt", "groundtruth")
_EXPECTED = "expected a folder of {seq}.txt, pysot's JSON, or the publisher's own folder"


def read_annotations(path: Path, benchmark: DatasetName, locations: Locations | None = None) -> list[Labels]:
    """The labels of a benchmark's sequences, in its own order (where it is known), else by name.

    Args:
        locations: where indexes are kept, for a publisher's own folder.

    Raises:
        UserError, DataError: names the file and row, or lists the sequences that are not there.
    """
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"--annotations: {path} is not there; {_EXPECTED}")
    labels = _read(path, benchmark, locations)
    if others := same_sequences(benchmark, (one.name for one in labels)):
        raise UserError(
            f"--benchmark {benchmark}: the sequences of {path} are those of {' and '.join(others)}, whose scores are"
            f" others; give --benchmark {others[-1]}, or the annotations of {benchmark}"
        )
    return labels


def _read(path: Path, benchmark: DatasetName, locations: Locations | None) -> list[Labels]:
    if path.suffix.lower() == ".json":
        return _from_json(path, benchmark)
    if path.is_file() and path.suffix.lower() not in (".tar", ".zip"):
        raise UserError(f"--annotations: {path} is no folder; {_EXPECTED}")
    try:
        return _from_files(path, benchmark) if any(_truths(path)) else _from_own(path, benchmark, locations)
    except SeqtrackError as error:
        below = next((path / name for name in _BELOW if any(_truths(path / name))), None)
        if below is None:
            raise
        raise UserError(
            f"--annotations: {path} holds no {{seq}}.txt of {benchmark}; did you mean {below}?"
        ) from error


def _from_own(path: Path, benchmark: DatasetName, locations: Locations | None) -> list[Labels]:
    locations = dataclasses.replace(locations or Locations(), data_paths={benchmark.folder: path}, preproc=ORIGINAL)
    return from_data(benchmark, locations)


def from_data(benchmark: DatasetName, locations: Locations) -> list[Labels]:
    """The labels of the data set where it lies, as a rule from its index, which is built where there is none."""
    _check_served(benchmark)
    source = locate(benchmark, locations)
    if source.preproc == ORIGINAL and (labels := read_own(source.tree(locations.cache_dir), benchmark)) is not None:
        return labels
    index, first = open_index_of(benchmark, locations, lambda text: None), first_pixel(benchmark)
    tree = source.tree(locations.cache_dir) if source.preproc == ORIGINAL else None
    return [
        _marked(labels_of(index, video, track).moved(first), benchmark, tree, index, video, track)
        for video in benchmark.videos(index)
        for track in index.tracks_of(video)
    ]


def _marked(labels: Labels, name: DatasetName, tree: Tree | None, index: Index, video: int, track: int) -> Labels:
    if tree is None:
        return labels
    frames = np.asarray(index.track(track).frames, np.int64)
    marks = read_marks(name.layout, name.part, tree, index.video_name(video), labels.name, frames)
    return dataclasses.replace(labels, tags=marks.tags, attributes=marks.attributes)


def _check_served(benchmark: DatasetName) -> None:
    if str(benchmark) in SERVED:
        raise UserError(
            f"--benchmark {benchmark}: its labels are not public; send the results to its server"
            " (seqtrack export_results packs them)"
        )


def _truths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.txt") if path.is_file() and path.name != "list.txt")


def _from_files(folder: Path, benchmark: DatasetName) -> list[Labels]:
    _check_served(benchmark)
    files = {path.name.removesuffix(".txt"): path for path in _truths(folder)}
    found = in_order(benchmark, list(files), str(folder), "annotation")
    labels = []
    for name, stem in found.items():
        path = files[stem]
        rows = parse_rows(read_file(str(path)), str(path), (4, 8))
        boxes, present = with_presence(polygon_hull(rows) if rows.shape[1] == 8 else rows)
        if benchmark.layout == "lasot":
            # The flags alone: toolkits count an unflagged box of no area otherwise than one that is flagged.
            present = ~_absent(folder, stem, len(boxes))
        one = Labels(name, boxes, present, regions=rows if rows.shape[1] == 8 else None)
        labels.append(_labelled(one, window(benchmark, name)))
    return labels


def _labelled(labels: Labels, frames: tuple[int, int] | None) -> Labels:
    """The rows that count, of a file with one for every frame of the video (Tiger1: 349 of 354)."""
    if frames is None or len(labels.boxes) < frames[1] or len(labels.boxes) <= frames[1] - frames[0] + 1:
        return labels
    rows = slice(frames[0] - 1, frames[1])
    return dataclasses.replace(labels, boxes=labels.boxes[rows], present=labels.present[rows])


def _absent(folder: Path, stem: str, frames: int) -> Bools:
    """(frames,) LaSOT's flags, one per line or all in one; all False where there are no such files at all."""
    for place in _ABSENT:
        if not (folder / place).is_dir():
            continue
        path = folder / place / f"{stem}.txt"
        if not path.is_file():
            raise DataError(f"{path}: is not there, though other sequences have their absence flags; add it")
        return flags_of(read_file(str(path)), str(path), frames)
    return np.zeros(frames, np.bool_)


def _from_json(path: Path, benchmark: DatasetName) -> list[Labels]:
    try:
        records = json.loads(read_file(str(path)))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); get the file again") from error
    if not isinstance(records, dict) or not records:
        raise DataError(f"{path}: expected {{sequence: {{gt_rect, …}}}}; get the file again")
    _check_served(benchmark)
    found = in_order(benchmark, list(records), str(path), "entry")
    return [
        _labelled(_from_record(name, records[key], f"{path}, sequence {key}"), window(benchmark, name))
        for name, key in found.items()
    ]


def _from_record(name: str, record: Any, where: str) -> Labels:
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected gt_rect and more in it; get the file again")
    regions = _regions(record.get("gt_rect"), where)
    boxes, present = with_presence(polygon_hull(regions) if regions.shape[1] == 8 else regions)
    if "absent" in record:
        absent = _flags(record, "absent", len(boxes), where)
        # pysot's LaSOT.json marks with 1 what its evaluator keeps. The first frame is always in view, so it tells.
        present = absent if absent[0] else ~absent
    width, height = record.get("width"), record.get("height")
    attributes = record.get("attr") or []
    return Labels(
        name=name,
        boxes=boxes,
        present=present,
        size=(width, height) if isinstance(width, int) and isinstance(height, int) else None,
        regions=regions if regions.shape[1] == 8 else None,
        tags={tag: _flags(record, tag, len(boxes), where) for tag in TAGS if tag in record},
        attributes=tuple(map(str, attributes)) if isinstance(attributes, list) else (),
    )


def _regions(value: Any, where: str) -> Floats:
    """(N, 4) or (N, 8); rows of one number, vot-toolkit's code for none, are NaN."""
    rows = value if isinstance(value, list) else []
    columns = max((len(row) for row in rows if isinstance(row, list)), default=0)
    if columns not in (4, 8):
        raise DataError(f"{where}: gt_rect has rows of {columns} numbers, expected 4 or 8; get the file again")
    full = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) not in (1, columns) or not all(map(_is_number, row)):
            raise DataError(f"{where}, row {number}: {str(row)[:60]} is not {columns} numbers; mend that row")
        full.append(row if len(row) == columns else [math.nan] * columns)
    return np.array(full, np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (value != value or abs(value) < 1e300)


def _flags(record: Mapping[str, Any], key: str, frames: int, where: str) -> Bools:
    """(frames,); shorter lists are padded with 0, as vot-toolkit does."""
    values = record.get(key) or []
    if not isinstance(values, list) or len(values) > frames or not all(map(_is_number, values)):
        raise DataError(f"{where}: {key} has to be a list of {frames} flags, 0 or 1; mend it")
    flags = np.zeros(frames, np.bool_)
    flags[: len(values)] = np.array(values, np.float64) == 1
    return flags
