"""Film strips: a few frames of a video, small, with what is labelled in them. Nothing else is read or decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.data.datasets import Dataset
from seqtrack.data.imaging.crops import Box, shrink_for
from seqtrack.data.imaging.images import RegionDecoder
from seqtrack.data.indexing.index import Track
from seqtrack.data.sampling.rng import generator
from seqtrack.errors import DataError

Image = NDArray[np.uint8]
TILE_SIDE = 240  # px: the longer side of a tile, at most


@dataclass(frozen=True)
class Mark:
    """A target that is in view: x y w h in pixels of the tile."""

    box: Box
    is_occluded: bool


@dataclass(frozen=True)
class Tile:
    """One frame, or the crop around a target that a preprocessed version has of it.

    Attributes:
        frame: its number in the video.
        picture: (h, w, 3) RGB; None where it does not decode, and ``problem`` says why.
        absent: how many targets are labelled as not in view.
    """

    frame: int
    picture: Image | None
    marks: tuple[Mark, ...] = ()
    absent: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Strip:
    """One video.

    Attributes:
        size: (width, height) of its original frames.
        frames: how many it has; labels, absent: how many labels its targets have, and those out of view.
        visibility: mean over its labels, in [0, 1].
        is_graded: whether any label is neither wholly visible nor wholly not.
    """

    video: str
    size: tuple[int, int]
    frames: int
    tracks: int
    labels: int
    absent: int
    occluded: int
    visibility: float
    is_graded: bool
    categories: tuple[str, ...]
    tiles: tuple[Tile, ...]


def choose(videos: Sequence[int], count: int, seed: int, dataset: str) -> list[int]:
    """At most ``count`` of the videos, in their order: a fixed random choice."""
    order = generator(seed, "view", dataset).permutation(len(videos))
    return sorted(videos[place] for place in order[:count])


def film_strips(dataset: Dataset, videos: Sequence[int], frames: int) -> Iterator[Strip]:
    """A strip of at most ``frames`` labelled frames, evenly spread, for each of the videos."""
    index, decoder = dataset.index, RegionDecoder()
    for video in videos:
        tracks = {number: index.track(number) for number in index.tracks_of(video)}
        spots = _spots(dataset, tracks)
        there = sorted(spots)
        chosen = [
            there[k] for k in np.unique(np.linspace(0, len(there) - 1, min(frames, len(there))).round().astype(int))
        ]
        labels = sum(len(track.frames) for track in tracks.values())
        yield Strip(
            video=index.video_name(video),
            size=index.video_size(video),
            frames=index.video_length(video),
            tracks=len(tracks),
            labels=labels,
            absent=labels - sum(int(track.present.sum()) for track in tracks.values()),
            occluded=sum(int(track.occluded.sum()) for track in tracks.values()),
            visibility=sum(float(track.visibility.sum(dtype=np.float64)) for track in tracks.values())
            / max(labels, 1),
            is_graded=any(bool(((track.visibility > 0) & (track.visibility < 1)).any()) for track in tracks.values()),
            categories=tuple(sorted({track.category for track in tracks.values()} - {""})),
            tiles=tuple(
                _tile(dataset, video, frame, tracks, spots[frame], turn, decoder) for turn, frame in enumerate(chosen)
            ),
        )


def _spots(dataset: Dataset, tracks: dict[int, Track]) -> dict[int, list[tuple[int, int]]]:
    """Frames of which this version has pictures -> (track, row) of each label there."""
    found: dict[int, list[tuple[int, int]]] = {}
    for number, track in tracks.items():
        stored = dataset.stored(number)
        for row in range(len(track.frames)) if stored is None else stored.tolist():
            found.setdefault(int(track.frames[row]), []).append((number, row))
    return found


def _tile(
    dataset: Dataset,
    video: int,
    frame: int,
    tracks: dict[int, Track],
    spots: list[tuple[int, int]],
    turn: int,
    decoder: RegionDecoder,
) -> Tile:
    # Where pictures are crops around one target each, the targets of a video take turns.
    number, row = spots[turn % len(spots)]
    try:
        data, crop = dataset.read_target(number, row)
        picture, size = small_picture(decoder, data, lambda: dataset.describe_target(number, row))
    except DataError as error:
        return Tile(frame, None, problem=str(error))
    shown = spots if crop is None else [(number, row)]
    original = dataset.index.video_size(video) if crop is None else size
    fx, fy = picture.shape[1] / original[0], picture.shape[0] / original[1]
    marks, absent = [], 0
    for one, at in shown:
        track = tracks[one]
        if not track.present[at]:
            absent += 1
            continue
        x, y, w, h = track.boxes[at].tolist() if crop is None else crop.to_crop(track.boxes[at].tolist())
        marks.append(Mark((x * fx, y * fy, w * fx, h * fy), bool(track.occluded[at])))
    return Tile(frame, picture, tuple(marks), absent)


def small_picture(
    decoder: RegionDecoder, data: bytes | memoryview, describe: Callable[[], str]
) -> tuple[Image, tuple[int, int]]:
    """A frame whose longer side is at most TILE_SIDE, decoded no further than that needs, and the (width, height) in
    its file. DataError, with ``describe``, where it does not decode."""
    width, height = decoder.open(data, describe)
    shrink = shrink_for(max(width, height), TILE_SIDE) if decoder.scales else 1
    return _small(decoder.rows(height, shrink)), (width, height)


def _small(image: Image) -> Image:
    """A copy whose longer side is at most TILE_SIDE."""
    factor = TILE_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image.copy()
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
