"""The COCO layout: coco_train, coco_val. Each object is a track of one frame.

    annotations/instances_<part>.json
        images: id, file_name, width, height
        annotations: id, image_id, category_id, bbox (x y w h), iscrowd
        categories: id, name
    <part>/<file_name>, or images/<part>/<file_name>        ``part`` is train2017, val2017, …

Boxes are 0-based and continuous, as the publisher's page on its format says ("0-indexed", not rounded) and cocoapi
takes them. A crowd is no target and is left out; so are pictures without objects. Of several years of one part the
newest that has pictures counts: the older ones show the same pictures.

Lin et al.: Microsoft COCO, ECCV 2014.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import Item, base_of, contains, join, picture_of_items, read_json
from seqtrack.errors import DataError

EXPECTED = "annotations/instances_<part>.json and <part>/*.jpg or images/<part>/*.jpg"
WITHIN_FRAME = True

_LONGEST_SIDE = 1 << 16
_INSTANCES = re.compile(r"instances_(\w+?)(\d*)\.json")

Box = tuple[float, float, float, float]


class Entry(NamedTuple):
    picture: str
    size: tuple[int, int]
    objects: list[Item]


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """The pictures with objects, in the order of the file. The file is read here, once."""
    folder = base_of(tree, "annotations")
    newest: dict[str, tuple[str, str]] = {}
    matches = [match for name in tree.list(folder).files if (match := _INSTANCES.fullmatch(name))]
    for match in sorted(matches, key=lambda match: match.group(2)):
        name = "".join(match.groups())
        images = base_of(tree, name, f"images/{name}")
        if images and part in ("", match.group(1)):
            newest[match.group(1)] = (match.group(), images)
    for file, images in newest.values():
        yield from _pictures(tree, join(folder, file), images)


def _pictures(tree: Tree, file: str, images: str) -> Iterator[Entry]:
    data, where = read_json(tree, file), tree.describe(file)
    kinds = ("images", "annotations", "categories")
    if not isinstance(data, dict) or not all(isinstance(data.get(kind), list) for kind in kinds):
        raise DataError(f"{where}: expected an object with lists {', '.join(kinds)}; fetch the file again")
    names: dict[int, str] = {}
    for place, record in enumerate(data["categories"]):
        key, name = _fields(record, f"{where}, categories[{place}]", id=int, name=str)
        names[key] = name
    objects: dict[int, list[Item]] = {}
    for place, record in enumerate(data["annotations"]):
        at = f"{where}, annotations[{place}]"
        if isinstance(record, dict) and record.get("iscrowd"):
            continue
        number, image, kind, bbox = _fields(record, at, id=int, image_id=int, category_id=int, bbox=list)
        if kind not in names:
            raise DataError(f"{at}: category_id {kind} is not among the categories; mend the file")
        objects.setdefault(image, []).append(Item(str(number), names[kind], _box(bbox, at)))
    there = tree.list(images).files
    for place, record in enumerate(data["images"]):
        at = f"{where}, images[{place}]"
        key, name, width, height = _fields(record, at, id=int, file_name=str, width=int, height=int)
        if key not in objects:
            continue
        if not (0 < width < _LONGEST_SIDE and 0 < height < _LONGEST_SIDE):
            raise DataError(f"{at}: size {width}x{height}; mend the file")
        if not contains(there, name):
            raise DataError(f"{at}: no {name!r} in {tree.describe(images)}; add it")
        yield Entry(f"{images}/{name}", (width, height), objects.pop(key))
    if objects:
        raise DataError(f"{where}: image_id {min(objects)} of an annotation is not among the images; mend the file")


def _fields(record: Any, where: str, **kinds: type) -> list[Any]:
    """These fields of a record, each of its type."""
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected an object with {', '.join(kinds)}; mend the file")
    values = [record.get(name) for name in kinds]
    for (name, kind), value in zip(kinds.items(), values, strict=True):
        if type(value) is not kind or (isinstance(value, str) and not value.isprintable()):
            raise DataError(f"{where}: {name} is {repr(value)[:60]}, not {kind.__name__}; mend the file")
    return values


def _box(values: list[Any], where: str) -> Box:
    try:
        x, y, width, height = (float(value) for value in values)
        if math.isfinite(x + y) and 0 <= width < math.inf and 0 <= height < math.inf:
            return x, y, width, height
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"{where}: bbox is {repr(values)[:60]}, not four numbers x y w h; mend the file")


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    return picture_of_items(entry.picture.rpartition(".")[0], entry.picture, entry.size, entry.objects)
