"""What ``features.json`` and ``dataset_info.json`` say of a TFDS builder, read as what they are: JSON.

TFDS itself cannot open every builder without TensorFlow (its ``Video`` feature, which youtube_vis and tao have, asks
for a dtype of it), and takes 0.3 s to be imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack.data.storage import read_file
from seqtrack.data.storage.records import FEATURES, INFO, Shards
from seqtrack.errors import DataError

_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_DIGITS = 5


@dataclass(frozen=True)
class Leaf:
    """One feature that holds values."""

    key: str
    """Its path, '/'-separated: its key in the examples."""
    kind: str
    """``image``, ``boundingBox``, ``classLabel``, ``text``, ``tensor``, …: the field of TFDS's feature.proto."""
    depth: int
    """How many sequences it is in; a video counts as one."""
    box_format: str = ""
    """``REL_YXYX`` and the like."""
    labels: tuple[str, ...] = ()
    """Names of a ``classLabel``."""


@dataclass(frozen=True)
class Builder:
    folder: Path
    leaves: tuple[Leaf, ...]
    splits: Mapping[str, Shards]


def open_builder(folder: Path) -> Builder:
    """DataError when the folder is no builder, or its records are not ArrayRecord."""
    if not (folder / INFO).is_file() or not (folder / FEATURES).is_file():
        raise DataError(f"{folder}: expected {INFO} and {FEATURES}, as TFDS prepares a data set")
    info, features = _json(folder / INFO), _json(folder / FEATURES)
    try:
        kind = info.get("fileFormat") or "tfrecord"
        if kind != "array_record":
            raise DataError(
                f"{folder}: its records are {kind}, which cannot be read at random;"
                " prepare it with file_format='array_record'"
            )
        splits = {str(split["name"]): _shards(folder, info, split) for split in info["splits"]}
        leaves = tuple(_leaves(folder, features, (), 0))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(
            f"{folder}: {INFO} or {FEATURES} is not as TFDS writes it ({error}); prepare it again"
        ) from error
    return Builder(folder, leaves, splits)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_file(str(path)))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); prepare it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object; prepare it again")
    return content


def _shards(folder: Path, info: Mapping[str, Any], split: Mapping[str, Any]) -> Shards:
    lengths = [int(length) for length in split.get("shardLengths", ())]
    total = f"{len(lengths):0{_DIGITS}d}"
    paths = []
    for number in range(len(lengths)):
        index = f"{number:0{_DIGITS}d}"
        names = {
            "DATASET": info["name"], "SPLIT": split["name"], "FILEFORMAT": "array_record",
            "SHARD_INDEX": index, "NUM_SHARDS": total, "SHARD_X_OF_Y": f"{index}-of-{total}",
        }  # fmt: skip
        name = str(split.get("filepathTemplate") or _TEMPLATE)
        for word, value in names.items():
            name = name.replace(f"{{{word}}}", str(value))
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"the shard {name!r} leads out of the folder")
        paths.append(folder / name)
    if min(lengths, default=0) < 0:
        raise ValueError("a shard of less than no records")
    return Shards(paths, lengths)


def _leaves(folder: Path, feature: Mapping[str, Any], path: tuple[str, ...], depth: int) -> Iterator[Leaf]:
    key = "/".join(path)
    if "featuresDict" in feature:
        for name, inner in feature["featuresDict"].get("features", {}).items():
            yield from _leaves(folder, inner, (*path, name), depth)
    elif "sequence" in feature:
        yield from _leaves(folder, feature["sequence"]["feature"], path, depth + 1)
    elif "video" in feature:
        yield Leaf(key, "image", depth + 1)
    elif "boundingBox" in feature:
        yield Leaf(key, "boundingBox", depth, box_format=feature["boundingBox"].get("bboxFormat") or "REL_YXYX")
    elif "classLabel" in feature:
        yield Leaf(key, "classLabel", depth, labels=_labels(folder, path))
    else:
        # jsonFeature holds what older versions wrote; there the class says what it is.
        kinds = [kind for kind in feature if kind not in ("pythonClassName", "description")]
        yield Leaf(key, kinds[0] if kinds else "", depth)


def _labels(folder: Path, path: tuple[str, ...]) -> tuple[str, ...]:
    """TFDS keeps them beside: ``objects-label.labels.txt``."""
    file = folder / f"{'-'.join(word.replace('/', '.') for word in path)}.labels.txt"
    try:
        return tuple(file.read_text("utf-8").split("\n")) if file.is_file() else ()
    except OSError as error:
        raise DataError(f"{file}: cannot read it ({error.strerror})") from error
