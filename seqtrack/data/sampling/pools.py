"""Splitting data sets by video: ``pool_train`` and ``pool_val``, and what else needs a part of a data set.

The split is a pure function of the data set's name, its videos' names, the share and the seed, so it is the same on
every machine and for every trial, and adding a data set to the pool does not move the videos of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from seqtrack.data.indexing.index import Index
from seqtrack.errors import UserError

PoolPart = Literal["pool_train", "pool_val"]
POOLS: tuple[PoolPart, ...] = ("pool_train", "pool_val")


def pool_members(
    index: Index, part: PoolPart, train_share: float, seed: int = 0, videos: Sequence[int] | None = None
) -> list[int]:
    """The videos (numbers, increasing) of a data set that belong to one part of the pool.

    Args:
        train_share: share of the videos that ``pool_train`` gets, in (0, 1]; rounded to whole videos. With two
            videos or more and a share below 1 both parts have at least one.

    Raises:
        UserError: ``pool_val`` of a data set that has nothing left for it.
    """
    videos = range(index.num_videos) if videos is None else videos
    count = len(videos)
    # Ordered by a hash of the name: a video stays on its side when others are added or removed nearby.
    keys = {
        video: hashlib.sha256(
            f"{seed}\0{index.name}\0{index.video_name(video)}".encode("utf-8", "surrogateescape")
        ).digest()
        for video in videos
    }
    order = sorted(videos, key=lambda video: keys[video])
    train = round(train_share * count)
    if train_share < 1 and count > 1:
        train = min(max(train, 1), count - 1)
    chosen = order[:train] if part == "pool_train" else order[train:]
    if not chosen:
        raise UserError(
            f"--pool_split: {train_share} of the {count} videos of {index.name} leaves none for {part};"
            " change it, or take the data set out of --pool_datasets"
        )
    return sorted(chosen)
