"""The layout of ImageNet DET: det_train. Each object is a track of one frame.

    Data/DET/train/ILSVRC2013_train/<WordNet id>/<picture>.JPEG
    Data/DET/train/ILSVRC2014_train_000k/<picture>.JPEG
    Data/DET/val/<picture>.JPEG
    Annotations/DET/…/<picture>.xml     name (a WordNet id) and bndbox of each object

Pictures without annotations (``ILSVRC2013_train_extra…``) show none of the classes and are left out. Boxes: see
``voc``.

Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from seqtrack.data.formats import Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import Item, base_of, contains, original_size, picture_of_items, stem, walk
from seqtrack.data.formats.voc import parse_picture
from seqtrack.errors import DataError

EXPECTED = "Data/DET/<part>/…/<picture>.JPEG and Annotations/DET/<part>/…/<picture>.xml"

_ANNOTATIONS = "Annotations/DET"
_PREFIX = "ILSVRC"


class Entry(NamedTuple):
    annotation: str
    picture: str


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """One entry per annotated picture. Others' links to the folders (a, b, …) are not followed."""
    base = base_of(tree, _ANNOTATIONS, f"ILSVRC/{_ANNOTATIONS}", f"ILSVRC2015/{_ANNOTATIONS}") or _ANNOTATIONS
    for chosen in [part] if part else ["train", "val"]:
        top = f"{base}/{chosen}"
        listing = tree.list(top)
        yield from _pictures(tree, top, listing.files)
        for name in listing.folders:
            if name.startswith(_PREFIX):
                for folder, inside in walk(tree, f"{top}/{name}"):
                    yield from _pictures(tree, folder, inside.files)


def _pictures(tree: Tree, folder: str, files: Sequence[str]) -> Iterator[Entry]:
    annotations = [name for name in files if name.endswith(".xml")]
    images = folder.replace(_ANNOTATIONS, "Data/DET", 1)
    there = tree.list(images).files if annotations else []
    for name in annotations:
        picture = f"{name.removesuffix('.xml')}.JPEG"
        if not contains(there, picture):
            where = tree.describe(f"{folder}/{name}")
            raise DataError(f"{where}: no picture for it; expected {tree.describe(f'{images}/{picture}')}")
        yield Entry(f"{folder}/{name}", f"{images}/{picture}")


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    size, objects = parse_picture(tree.read(entry.annotation), tree.describe(entry.annotation))
    video = stem(entry.picture)
    items = [Item(str(k), found.category, found.box, found.occluded) for k, found in enumerate(objects)]
    size = size or original_size(tree, video, entry.picture, sizes)
    return picture_of_items(video, entry.picture, size, items)
