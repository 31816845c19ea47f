"""Pictures of a preprocessed version, made from the frames of an original data set.

Quality. A frame is decoded with the accurate DCT and smooth chroma, at 1/2, 1/4 or 1/8 where all that is made of it
shrinks by as much (and, wanted whole, divides evenly): docs/datasets.md has the figures. The rest is done by
``images.resize_view`` or ``crops.crop_square``, as in training. A JPEG that has the wanted size is copied as it is.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from seqtrack.data.datasets import Dataset
from seqtrack.data.formats.common import image_size
from seqtrack.data.imaging.crops import CropMap, Square, crop_square, shrink_for, square_around, whole_square
from seqtrack.data.imaging.images import Image, decode_reduced, resize_view
from seqtrack.data.imaging.jpeg import START
from seqtrack.data.indexing.index import Index
from seqtrack.data.preprocessing.growing_tar import members
from seqtrack.data.preprocessing.pictures import picture_of_frame, picture_of_row
from seqtrack.data.preprocessing.versions import EXEMPLAR_SIZE, Crop, Resize, parse_version
from seqtrack.errors import DataError, UserError

_MOST_ROWS = 10**9  # of a track; numbers of rows are int32
ENCODER = f"simplejpeg {simplejpeg.__version__}, 4:2:0"


@dataclass(frozen=True)
class Recipe:
    """What to make: the name of the version, every how many rows, and the quality of its JPEGs."""

    preproc: str
    every: int = 1
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        parse_version(self.preproc)
        if not 1 <= self.every <= _MOST_ROWS:
            raise UserError(f"--every: expected from 1 to {_MOST_ROWS:,}, got {self.every}")
        if not 1 <= self.jpeg_quality <= 100:
            raise UserError(f"--jpeg_quality: expected from 1 to 100, got {self.jpeg_quality}")


class Wanted(NamedTuple):
    """The pictures of one video, in order. ``tracks`` and ``rows`` say of which labels; empty for whole frames."""

    frames: NDArray[np.int64]
    tracks: NDArray[np.int64]
    rows: NDArray[np.int64]

    def by_frame(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Each frame once, and the labels (track, row) that it is wanted for; none for whole frames."""
        edges = np.flatnonzero(np.diff(self.frames, prepend=-1, append=-1))
        for first, last in itertools.pairwise(edges):
            labels = zip(self.tracks[first:last].tolist(), self.rows[first:last].tolist(), strict=True)
            yield int(self.frames[first]), list(labels)


def wanted(index: Index, video: int, recipe: Recipe) -> Wanted:
    """Crops: every label with a target. Whole frames: all, or with ``every`` those that the labels kept lie on."""
    frames, tracks, rows = [], [], []
    none = np.zeros(0, np.int64)
    is_crop = isinstance(parse_version(recipe.preproc), Crop)
    if not is_crop and recipe.every == 1:
        return Wanted(np.arange(index.video_length(video)), none, none)
    for number in index.tracks_of(video):
        track = index.track(number)
        kept = np.arange(0, len(track.frames), recipe.every)
        if is_crop:
            kept = kept[track.present[kept] & (track.boxes[kept, 2:] > 0).all(axis=1)]
        frames.append(np.asarray(track.frames[kept], np.int64))
        tracks.append(np.full(len(kept), number, np.int64))
        rows.append(kept)
    if not frames:
        return Wanted(none, none, none)
    if not is_crop:
        return Wanted(np.unique(np.concatenate(frames)), none, none)
    joined = Wanted(np.concatenate(frames), np.concatenate(tracks), np.concatenate(rows))
    order = np.lexsort((joined.tracks, joined.frames))
    return Wanted(*(column[order] for column in joined))


def crop_region(box: Sequence[float], side: int) -> tuple[Square, int]:
    """What a crop of ``side`` pixels shows around a box x y w h: a square in pixels of the frame at 1/k, and k.

    ``square.map_to(side, k)`` is the exact mapping. The square of SiamFC's exemplar measures ``EXEMPLAR_SIZE`` in the
    crop, as nearly as whole pixels allow. k is 1, 2, 4 or 8: as training cuts the same square from the whole frame.
    """
    x, y, w, h = box
    extent = square_around(box) * side / EXEMPLAR_SIZE
    shrink = shrink_for(extent, side)
    return whole_square((x + w / 2) / shrink, (y + h / 2) / shrink, extent / shrink), shrink


class Piece(NamedTuple):
    """Some of a video's pictures, by their places in ``Wanted``."""

    video: int
    start: int
    stop: int


class Block(NamedTuple):
    """Pictures as members of a tar."""

    data: bytes
    checksums: list[int | None]
    """CRC-32 of each picture; None where its frame cannot be read."""
    unreadable: list[tuple[int, int, str]]
    """video, frame, why."""


class Maker:
    """Makes pictures of a data set. Picklable."""

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self._dataset, self._index, self._recipe = dataset, dataset.index, recipe
        self._version = parse_version(recipe.preproc)

    def block(self, pieces: Sequence[Piece]) -> Block:
        """The pictures of a block. A frame that several of them show is decoded once."""
        files: list[tuple[str, bytes]] = []
        checksums: list[int | None] = []
        unreadable: list[tuple[int, int, str]] = []
        for video, start, stop in pieces:
            piece = Wanted(*(column[start:stop] for column in wanted(self._index, video, self._recipe)))
            for frame, labels in piece.by_frame():
                try:
                    pictures = self._pictures(video, frame, labels)
                except DataError as error:
                    unreadable.append((video, frame, str(error)))
                    checksums += [None] * (len(labels) or 1)
                    continue
                checksums += [zlib.crc32(data) for _, data in pictures]
                files += [(f"{self._dataset.name}/{name}", data) for name, data in pictures]
        return Block(members(files), checksums, unreadable)

    def is_readable(self, video: int, frame: int) -> bool:
        try:
            self._read(video, frame, 1)
        except DataError:
            return False
        return True

    def _pictures(self, video: int, frame: int, labels: list[tuple[int, int]]) -> list[tuple[str, bytes]]:
        """(file, content) of what is made of one frame."""
        if isinstance(self._version, Resize):
            data = self._whole(video, frame, self._version)
            return [(picture_of_frame(self._index.frame_name(video, frame)), data)]
        crops = self.crops(video, frame, labels, self._version.side)
        return [(picture_of_row(*label), data) for label, (data, _) in zip(labels, crops, strict=True)]

    def crops(self, video: int, frame: int, labels: list[tuple[int, int]], side: int) -> list[tuple[bytes, CropMap]]:
        """A JPEG around each label (track, row) of a frame, and the mapping into it. DataError as ``_read``."""
        regions = [crop_region(self._index.track(track).boxes[row].tolist(), side) for track, row in labels]
        least = min(shrink for _, shrink in regions)
        _, image = self._read(video, frame, least)
        made = []
        for square, shrink in regions:
            k = shrink // least
            pixels = crop_square(image, Square(square.left * k, square.top * k, square.side * k), side, shrink=k)
            made.append((self._encode(pixels), square.map_to(side, shrink)))
        return made

    def _whole(self, video: int, frame: int, version: Resize) -> bytes:
        width, height = self._index.video_size(video)
        size = version.size_of((width, height))
        # Only what divides evenly: elsewhere the last column would reach beyond the frame, and boxes be off.
        shrink = max(
            k for k in (1, 2, 4, 8)
            if k == 1 or (width % k == height % k == 0 and width >= k * size[0] and height >= k * size[1])
        )  # fmt: skip
        data, image = self._read(video, frame, shrink)
        if data[:2] == START and size == (width, height):
            return data
        return self._encode(resize_view(image, size))

    def _read(self, video: int, frame: int, shrink: int) -> tuple[bytes, Image]:
        """The frame's file and its pixels at 1/shrink. DataError if it is not what the index says."""
        where = self._dataset.describe_frame(video, frame)
        data = self._dataset.read_frame(video, frame)
        size, expected = image_size(data, where), self._index.video_size(video)
        if size != expected:
            raise DataError(
                f"{where}: {size[0]}x{size[1]}, expected {expected[0]}x{expected[1]} as the index has it;"
                " restore this file from its source"
            )
        return data, decode_reduced(data, shrink, where)

    def _encode(self, image: Image) -> bytes:
        pixels = np.ascontiguousarray(image)
        encoded: bytes = simplejpeg.encode_jpeg(pixels, self._recipe.jpeg_quality, "RGB", "420", fastdct=False)
        return encoded
