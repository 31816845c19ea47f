"""Splitting data sets by video: ``pool_train`` and ``pool_val``, and what else needs a part of a data set.

The split is a pure function of the data set's name, its videos' names, the share and the seed, so it is the
same on every machine and for every trial, and adding a data set to the pool does not move the videos of
another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.index import Index, Track
from seqtrack.errors import UserError

PoolPart = Literal["pool_train", "pool_val"]
POOLS: tuple[PoolPart, ...] = ("pool_train", "pool_val")


def pool_members(index: Index, part: PoolPart, train_share: float, seed: int = 0) -> list[int]:
    """The videos (numbers, increasing) of a data set that belong to one part of the pool.

    Args:
        train_share: share of the videos that ``pool_train`` gets, in (0, 1]; rounded to whole videos. With
        two videos
            or more and a share below 1 both parts have at least one.

    Raises:
        UserError: ``pool_val`` of a data set that has nothing left for it.
    """
    count = index.num_videos
    # Ordered by a hash of the name: a video stays on its side when others are added or removed nearby.
    keys = [
        hashlib.sha256(f"{seed}\0{index.name}\0{index.video_name(video)}".encode("utf-8", "surrogateescape")).digest()
        for video in range(count)
    ]
    order = sorted(range(count), key=lambda video: keys[video])
    train = round(train_share * count)
    if train_share < 1 and count > 1:
        train = min(max(train, 1), count - 1)
    chosen = order[:train] if part == "pool_train" else order[train:]
    if not chosen:
        raise UserError(
            f"--pool_split: {train_share} of the {count} videos of {index.name} leaves none for {part};"
            " change it or add data sets to --pool_datasets"
        )
    return sorted(chosen)


class IndexSubset(Index):
    """An index with some of the videos of another, renumbered from 0 in the order given."""

    def __init__(self, index: Index, videos: Sequence[int]) -> None:
        # It has no file of its own, so what Index reads from one is taken from the whole index instead.
        self._whole = index
        self._videos = [int(video) for video in videos]
        self._tracks = [track for video in self._videos for track in index.tracks_of(video)]
        self._video_of_track = [n for n, video in enumerate(self._videos) for _ in index.tracks_of(video)]
        self._first: list[int] = [0]
        for video in self._videos:
            self._first.append(self._first[-1] + len(index.tracks_of(video)))
        self.path: Path = index.path
        self.name, self.layout, self.source = index.name, index.layout, index.source
        self.fingerprint, self.source_fingerprint = index.fingerprint, index.source_fingerprint
        self.num_videos, self.num_tracks = len(self._videos), len(self._tracks)

    def __reduce__(self) -> tuple[type[IndexSubset], tuple[Index, list[int]]]:  # type: ignore[override]
        return IndexSubset, (self._whole, self._videos)

    def video_name(self, video: int) -> str:
        return self._whole.video_name(self._videos[video])

    def video_length(self, video: int) -> int:
        return self._whole.video_length(self._videos[video])

    def video_size(self, video: int) -> tuple[int, int]:
        return self._whole.video_size(self._videos[video])

    def frame_name(self, video: int, frame: int) -> str:
        return self._whole.frame_name(self._videos[video], frame)

    def tracks_of(self, video: int) -> range:
        return range(self._first[video], self._first[video + 1])

    def track_video(self, track: int) -> int:
        return self._video_of_track[track]

    def track_name(self, track: int) -> str:
        return self._whole.track_name(self._tracks[track])

    def track(self, track: int) -> Track:
        return self._whole.track(self._tracks[track])

    def polygons(self, track: int) -> NDArray[np.float64] | None:
        return self._whole.polygons(self._tracks[track])
