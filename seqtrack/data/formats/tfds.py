"""Prepared TFDS builders with a bounding-box feature: ``tfds:coco/2017``, ``tfds:youtube_vis``, ``tfds:tao``.

Which feature means what is read off ``features.json``: the picture (``Image``) or video (a sequence of them), the
boxes (``BBoxFeature``, as a rule y1 x1 y2 x2 relative to the picture, float32), and beside the boxes their category,
the numbers of their frames and, if there, ``present``, ``occluded``, ``visibility``. Objects of a picture are tracks
of one frame. What seqtrack exports also holds ``xywh_bits``, the float64 boxes in pixels as integers of the same
bits, and is read back exactly. From others, boxes are as exact as float32 is: 1e-4 px at 1000 px.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import image_size
from seqtrack.data.storage.builders import Builder, Leaf
from seqtrack.data.storage.records import parse
from seqtrack.errors import DataError

EXPECTED = "dataset_info.json, features.json and *.array_record* shards, with an image or video and a bbox feature"
EXACT = "xywh_bits"

Columns = dict[str, list[Any]]
"""Values beside the boxes: by name, a list by track."""


class Entry(NamedTuple):
    split: str
    record: int


@dataclass(frozen=True)
class Structure:
    """Which features of a builder mean what."""

    picture: Leaf
    boxes: Leaf
    beside: Mapping[str, Leaf]
    """The features in the same dict as the boxes, by their own names."""
    names: tuple[str, ...]
    """Keys of texts outside of any sequence."""

    @property
    def is_video(self) -> bool:
        return self.picture.depth > 0


def structure(leaves: Sequence[Leaf], where: str) -> Structure:
    """DataError when there is no picture, or no box."""
    pictures = [leaf for leaf in leaves if leaf.kind == "image" and leaf.depth < 2]
    boxes = [leaf for leaf in leaves if leaf.kind == "boundingBox"]
    if not pictures or not boxes:
        raise DataError(
            f"{where}: no {'bbox feature' if pictures else 'picture'} among {', '.join(leaf.key for leaf in leaves)};"
            " expected a data set of objects or tracks"
        )
    folder = boxes[0].key.rpartition("/")[0]
    beside = {leaf.key.rpartition("/")[2]: leaf for leaf in leaves if leaf.key.rpartition("/")[0] == folder}
    names = tuple(leaf.key for leaf in leaves if leaf.depth == 0 and leaf.kind == "text")
    return Structure(pictures[0], boxes[0], beside, names)


def find(tree: Tree, part: str) -> Iterator[Entry]:
    splits = _builder(tree).splits
    last = part.rpartition("/")[2]
    for split in [last] if last in splits else list(splits):
        splits[split].check()
        for number in range(splits[split].count):
            yield Entry(split, number)


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    name = f"{entry.split}/{entry.record:08d}"
    where = tree.describe(name)
    plan = structure(_builder(tree).leaves, tree.source)
    example = parse(tree.read(name), where)
    pictures = example[plan.picture.key].bytes_list.value
    if not pictures:
        raise DataError(f"{where}: no picture in {plan.picture.key}; prepare it again")
    size = image_size(pictures[0], where)
    try:
        tracks = list(_tracks(plan, example, len(pictures), size, name))
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"{where}: its boxes do not fit its frames ({error}); prepare it again") from error
    frames = [f"{name}/{t:06d}.image" for t in range(len(pictures))] if plan.is_video else [f"{name}.image"]
    return VideoAnnotation(_video_name(plan, example, name), frames, size, tracks)


def _builder(tree: Tree) -> Builder:
    records = getattr(tree, "records", None)
    if records is None:
        raise DataError(f"{tree.source}: not a TFDS builder; expected {EXPECTED}")
    builder: Builder = records.builder
    return builder


def _video_name(plan: Structure, example: Any, name: str) -> str:
    for key in plan.names:
        if plan.is_video and key.endswith("name") and example[key].bytes_list.value:
            return f"{example[key].bytes_list.value[0].decode('utf-8', 'replace')}"
    return name


def _tracks(
    plan: Structure, example: Any, length: int, size: tuple[int, int], name: str
) -> Iterator[TrackAnnotation]:
    """(T tracks of N boxes) from boxes that are in no sequence, in one, or in one sequence of tracks with another."""
    boxes = _rows(example, plan.boxes, 4)
    columns = {own: _rows(example, found, 4 if own == EXACT else 1) for own, found in plan.beside.items()
               if own != plan.boxes.key.rpartition("/")[2]}  # fmt: skip
    frames = columns.get("frames")
    if plan.boxes.depth == 2 and plan.is_video and frames is None:
        boxes, columns, frames = _regrouped(boxes, columns)
    elif plan.boxes.depth < 2:
        boxes, columns, frames = _singles(boxes, columns, length if plan.is_video else 1)
    if frames is None or len(frames) != len(boxes):
        raise ValueError(f"{len(boxes)} tracks, {0 if frames is None else len(frames)} lists of frames")
    for k, rows in enumerate(boxes):
        numbers = np.asarray(frames[k]).reshape(-1)
        if len(numbers) != len(rows) or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < length):
            raise ValueError(f"track {k}: {len(rows)} boxes in frames {numbers[:3]} … of {length}")
        if (np.diff(numbers) <= 0).any():
            raise ValueError(f"track {k}: its frames do not increase")
        yield _track(plan, columns, k, numbers, rows, size, f"{name}-{k}")


def _track(
    plan: Structure, columns: Columns, k: int, frames: Any, rows: Any, size: tuple[int, int], name: str
) -> TrackAnnotation:
    def column(key: str, kind: type[Any]) -> NDArray[Any] | None:
        values = columns.get(key)
        return None if values is None or np.size(values[k]) != len(rows) else np.asarray(values[k], kind).reshape(-1)

    boxes = _to_pixels(np.asarray(rows, np.float64).reshape(-1, 4), plan.boxes.box_format, size)
    if EXACT in columns:
        boxes = np.ascontiguousarray(np.asarray(columns[EXACT][k]).reshape(-1, 4), np.int64).view(np.float64)
    has_area = np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
    present, occluded = column("present", np.bool_), column("occluded", np.bool_)
    return TrackAnnotation(
        name=_text(columns, "name", k) or name,
        frames=np.asarray(frames, np.int64),
        boxes=boxes,
        present=has_area if present is None else present,
        occluded=np.zeros(len(rows), bool) if occluded is None else occluded,
        category=_category(plan, columns, k),
        visibility=column("visibility", np.float16),
    )


def _to_pixels(numbers: NDArray[np.float64], kind: str, size: tuple[int, int]) -> NDArray[np.float64]:
    """(N, 4) x y w h in pixels from (N, 4) in one of the formats of TFDS."""
    columns = {"YXYX": (1, 0, 3, 2), "XYXY": (0, 1, 2, 3), "XYWH": (0, 1, 2, 3)}
    if kind.removeprefix("REL_") not in columns:
        raise ValueError(f"boxes of the unknown format {kind}")
    x, y, right, bottom = numbers.T[list(columns[kind.removeprefix("REL_")])]
    boxes = np.stack([x, y, right, bottom], axis=1)
    if not kind.endswith("WH"):
        boxes[:, 2:] -= boxes[:, :2]
    return boxes * np.tile(size, 2) if kind.startswith("REL_") else boxes


def _rows(example: Any, found: Leaf, columns: int) -> list[Any]:
    """The values of a feature in a list by the outermost sequence it is in; an element is what one item of it has."""
    if found.depth < 2:
        flat = _flat(example[found.key])
        return list(flat.reshape(-1, columns)) if isinstance(flat, np.ndarray) else flat
    flat = _flat(example[f"{found.key}/ragged_flat_values"])
    lengths = np.asarray(example[f"{found.key}/ragged_row_lengths_0"].int64_list.value, np.int64)
    ends = np.cumsum(lengths)
    if isinstance(flat, np.ndarray):
        flat = flat.reshape(-1, columns)
    if (lengths < 0).any() or (ends[-1] if len(ends) else 0) != len(flat):
        raise ValueError(f"{found.key} has {len(flat)} rows for {lengths.sum()}")
    return [flat[end - count : end] for count, end in zip(lengths.tolist(), ends.tolist(), strict=True)]


def _flat(feature: Any) -> Any:
    if feature.bytes_list.value:
        return list(feature.bytes_list.value)
    if feature.float_list.value:
        return np.asarray(feature.float_list.value, np.float64)
    return np.asarray(feature.int64_list.value, np.int64)


def _singles(
    boxes: list[Any], columns: dict[str, list[Any]], length: int
) -> tuple[list[Any], dict[str, Any], list[Any]]:
    """One box a picture is a track of one frame; one box for each frame of a video is one track."""
    if length > 1 and len(boxes) == length:
        return [np.stack(boxes)], {key: [values] for key, values in columns.items()}, [np.arange(length)]
    if length > 1:
        raise ValueError(f"{len(boxes)} boxes for {length} frames, and nothing says which frame each is in")
    return [box[None] for box in boxes], columns, [np.zeros(1, np.int64)] * len(boxes)


def _regrouped(boxes: list[Any], columns: Columns) -> tuple[list[Any], Columns, list[Any]]:
    """From objects by frame to frames by object, where the objects have a number that lasts."""
    identity = next((key for key in columns if "track" in key or key in ("id", "object_id", "instance_id")), None)
    if identity is None:
        raise ValueError("objects by frame without a number of their track")
    order: dict[Any, list[tuple[int, int]]] = {}
    for t, row in enumerate(columns[identity]):
        for k, value in enumerate(np.asarray(row).reshape(-1).tolist()):
            order.setdefault(value, []).append((t, k))
    regrouped = {
        key: [[values[t][k] for t, k in places] for places in order.values()] for key, values in columns.items()
    }
    frames = [np.array([t for t, _ in places]) for places in order.values()]
    return [np.array([boxes[t][k] for t, k in places]) for places in order.values()], regrouped, frames


def _first(columns: Columns, key: str, k: int) -> Any:
    values = columns.get(key)
    if values is None or k >= len(values):
        return None
    value = values[k]
    while isinstance(value, (list, np.ndarray)) and np.size(value):
        value = value[0]
    return value


def _text(columns: Columns, key: str, k: int) -> str:
    value = _first(columns, key, k)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _category(plan: Structure, columns: Columns, k: int) -> str:
    for key in ("category", "label", "class", "labels"):
        value = _first(columns, key, k)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, (int, np.integer)):
            labels = plan.beside[key].labels
            return labels[value] if 0 <= value < len(labels) else str(value)
    return ""
