"""All videos of a data set read in several processes, in their order and a few at a time.

Videos are independent, so each process reads some of them from a tree of its own. What this process holds at any
moment is a list of entries and a window of results, never the data set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from seqtrack.data.formats import (
    DatasetName,
    Sizes,
    VideoAnnotation,
    find_layout,
    find_videos,
    read_sizes,
    read_video,
)
from seqtrack.data.indexing.numbering import NumberedNames
from seqtrack.data.processes import in_order, usable_cores
from seqtrack.data.storage.trees import DirectoryTree, Seen, TarTree

Progress = Callable[[int, int], object]
"""Called with videos done and videos in all."""

# Starting a process from nothing takes about half a second: what can be read in that time is read here.
_PATIENCE_SECONDS = 1.0
_TASK_SECONDS = 0.1
_LARGEST_TASK = 64
_MOST_PROCESSES = 16  # beyond that it is the disk that takes time
_SECONDS_BEFORE_LINES = 2.0
_SECONDS_BETWEEN_LINES = 10.0


class ProgressLines:
    """Says in lines how far the reading is, if it takes more than two seconds."""

    def __init__(self, name: DatasetName, say: Callable[[str], object]) -> None:
        self._name, self._say = name, say
        self._started = time.monotonic()
        self._next = self._started + _SECONDS_BEFORE_LINES

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next and done < total:
            self._next = now + _SECONDS_BETWEEN_LINES
            rate = done / (now - self._started)
            self._say(f"{self._name}: read {done:,} of {total:,} videos, {rate:,.0f} a second")


class Reading:
    """Iterates over the videos of a data set; ``seen`` grows with it.

    Frames' names that count up come as ``NumberedNames``.
    """

    def __init__(
        self,
        name: DatasetName,
        tree: DirectoryTree | TarTree,
        processes: int | None = None,
        on_progress: Progress = lambda done, total: None,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        """
        Args:
            processes: how many read at most (default: one per core, at most 16).
            patience: seconds after which others are started; small data sets are read before that.
        """
        self.seen = Seen()
        self._name, self._tree, self._on_progress, self._patience = name, tree, on_progress, patience
        self._processes = processes or min(_MOST_PROCESSES, usable_cores())

    def __iter__(self) -> Iterator[VideoAnnotation]:
        """In the publisher's order. DataError as ``read_video``, of the first video that is wrong."""
        sizes = read_sizes(self._tree)
        entries = find_videos(self._name, self._tree)
        self.seen.merge(self._tree.take_seen())
        results = self._read(entries, sizes)
        for done, video in enumerate(results, start=1):
            yield video
            self._on_progress(done, len(entries))

    def _read(self, entries: Sequence[Any], sizes: Sizes) -> Iterator[VideoAnnotation]:
        layout, started, done = find_layout(self._name.layout), time.monotonic(), 0
        for done, entry in enumerate(entries):
            taken = time.monotonic() - started
            if self._processes > 1 and taken >= self._patience:
                task = max(1, min(_LARGEST_TASK, int(done * _TASK_SECONDS / max(taken, 1e-3))))
                yield from self._read_elsewhere(entries[done:], sizes, task)
                return
            video = _compact(read_video(layout, self._tree, entry, sizes))
            self.seen.merge(self._tree.take_seen())
            yield video

    def _read_elsewhere(self, entries: Sequence[Any], sizes: Sizes, task: int) -> Iterator[VideoAnnotation]:
        tasks = (entries[start : start + task] for start in range(0, len(entries), task))
        given = (self._name.layout, self._tree, sizes)
        for videos, seen in in_order(_work, given, tasks, self._processes):
            self.seen.merge(seen)
            yield from videos


def _compact(video: VideoAnnotation) -> VideoAnnotation:
    names = NumberedNames.of(video.frame_names)
    return video if names is None or names is video.frame_names else replace(video, frame_names=names)


def _work(
    given: tuple[str, DirectoryTree | TarTree, Sizes], entries: Sequence[Any]
) -> tuple[list[VideoAnnotation], Seen]:
    layout, tree, sizes = given
    tree.take_seen()  # what the parent saw
    reader = find_layout(layout)
    videos = [_compact(read_video(reader, tree, entry, sizes)) for entry in entries]
    return videos, tree.take_seen()
