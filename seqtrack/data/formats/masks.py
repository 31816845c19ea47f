"""The layout of segmented videos: davis, ytbvos.

    JPEGImages/<video>/NNNNN.jpg        or JPEGImages/480p/<video>/… (DAVIS), train/JPEGImages/… (YouTube-VOS)
    Annotations/<video>/NNNNN.png       likewise; the value of a pixel is the number of its object, 0 none
    meta.json                           YouTube-VOS: the category of each object

Each number is a track. Its box is the hull of its pixels, whole pixels included: x = the first column, w = last -
first + 1. (pytracking's ``ltr/dataset/vos_base.py`` leaves the last column and row out, on the same 0-based grid.)
YouTube-VOS segments every fifth frame, so a track has labels there only. A track runs from the first mask that shows
it to the last; a mask in between that does not says that it is absent. 255 beside other numbers is DAVIS' "void",
alone it is the one object of DAVIS 2016.

Perazzi et al.: DAVIS, CVPR 2016; Pont-Tuset et al.: DAVIS 2017; Xu et al.: YouTube-VOS, ECCV 2018.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import base_of, between_sightings, frames_in, join, original_size, read_json, stem
from seqtrack.errors import DataError

EXPECTED = "JPEGImages/<video>/NNNNN.jpg and Annotations/<video>/NNNNN.png (DAVIS: in 480p/ of each)"

_RESOLUTIONS = ("480p", "1080p", "Full-Resolution")
_VOID = 255
# What Pillow raises on files that are cut short or changed.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)

Box = tuple[float, float, float, float]


class Entry(NamedTuple):
    images: str
    """Folder of the frames."""
    masks: str
    categories: dict[str, str]
    """By number of the object; empty without ``meta.json``."""


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """The videos with masks, in the order of names."""
    base = "" if "JPEGImages" in tree.list().folders else base_of(tree, "train", "DAVIS")
    annotations = join(base, "Annotations")
    inside = tree.list(annotations).folders
    resolution = next((name for name in _RESOLUTIONS if name in inside), "")
    meta = _meta(tree, base)
    images, masks = (f"{join(base, name)}/{resolution}".rstrip("/") for name in ("JPEGImages", "Annotations"))
    for video in tree.list(masks).folders:
        yield Entry(f"{images}/{video}", f"{masks}/{video}", meta.get(video, {}))


def _meta(tree: Tree, base: str) -> dict[str, dict[str, str]]:
    """Category by video and number of the object."""
    if "meta.json" not in tree.list(base).files:
        return {}
    name = join(base, "meta.json")
    data: Any = read_json(tree, name)
    try:
        return {
            video: {number: _printable(found["category"]) for number, found in record["objects"].items()}
            for video, record in data["videos"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f'{tree.describe(name)}: expected {{"videos": {{video: {{"objects": {{number: {{"category": …}}}}}}}}}};'
            " fetch the file again"
        ) from error


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(text)
    return text


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    video = entry.masks.rpartition("/")[2]
    frames = frames_in(tree, entry.images)
    if not frames:
        raise DataError(f"{tree.describe(entry.images)}: no frames for {tree.describe(entry.masks)}; add them")
    size = original_size(tree, video, frames[0], sizes)
    positions = {stem(name): position for position, name in enumerate(frames)}
    seen: dict[int, dict[int, Box]] = {}
    labelled = []
    for mask in frames_in(tree, entry.masks):
        where = tree.describe(mask)
        if stem(mask) not in positions:
            raise DataError(f"{where}: no frame {stem(mask)}.jpg for it in {tree.describe(entry.images)}; add it")
        position = positions[stem(mask)]
        labelled.append(position)
        for number, box in hulls(read_mask(tree.read(mask), where, size)).items():
            seen.setdefault(number, {})[position] = box
    if len(seen) > 1:
        seen.pop(_VOID, None)
    tracks = []
    for number in sorted(seen):
        rows, boxes, present = between_sightings(labelled, seen[number])
        tracks.append(
            TrackAnnotation(
                name=f"{video}.{number}",
                frames=rows,
                boxes=boxes,
                present=present,
                occluded=np.zeros(len(rows), dtype=bool),
                category=entry.categories.get(str(number), ""),
            )
        )
    return VideoAnnotation(name=video, frame_names=frames, size=size, tracks=tracks)


def read_mask(data: bytes, where: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) numbers of objects from a PNG with a palette, or of greys.

    Args:
        size: (width, height) that it must have, those of the frame.

    Raises:
        DataError: another size, colours, or not a whole PNG.
    """
    from PIL import Image  # of the decoders here the one that keeps indices: OpenCV's turns them into colours

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode not in ("P", "L", "1"):
                raise DataError(f"{where}: colours ({image.mode}) where a palette is expected; replace the file")
            if image.size != size:
                shape = f"{image.width}x{image.height}"
                raise DataError(f"{where}: {shape} where its frames have {size[0]}x{size[1]}; replace the file")
            return np.asarray(image, np.uint8)
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: it does not decode as PNG ({error}); replace the file") from error


def hulls(mask: NDArray[np.uint8]) -> dict[int, Box]:
    """x y w h of the pixels of each number in a mask (H, W), by number."""
    found = {}
    for number in np.flatnonzero(np.bincount(mask.ravel())):
        if number == 0:
            continue
        pixels = mask == number
        columns, rows = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
        found[int(number)] = (
            float(columns[0]), float(rows[0]), float(columns[-1] - columns[0] + 1), float(rows[-1] - rows[0] + 1)
        )  # fmt: skip
    return found
