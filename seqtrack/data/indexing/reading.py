"""All videos of a data set read in several processes, in their order and a few at a time.

Videos are independent, so each process reads some of them from a tree of its own. What this process holds at any
moment is a list of entries and a window of results, never the data set.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

from seqtrack.data.formats import (
    DatasetName,
    Layout,
    Sizes,
    VideoAnnotation,
    find_layout,
    find_videos,
    read_manifest,
    read_video,
)
from seqtrack.data.indexing.numbering import NumberedNames
from seqtrack.data.storage.trees import DirectoryTree, Seen, TarTree
from seqtrack.errors import UserError

Progress = Callable[[int, int], object]
"""Called with videos done and videos in all."""

# Starting a process from nothing takes about half a second: what can be read in that time is read here.
_PATIENCE_SECONDS = 1.0
_TASK_SECONDS = 0.1
_LARGEST_TASK = 64
_TASKS_PER_PROCESS = 4
_MOST_PROCESSES = 16
_SECONDS_BEFORE_LINES = 2.0
_SECONDS_BETWEEN_LINES = 10.0


def usable_cores() -> int:
    """Cores that this process may use (a SLURM job sees its own), at most 16: then it is the disk that takes time."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return min(_MOST_PROCESSES, len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)


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
            processes: how many read at most (default: ``usable_cores``).
            patience: seconds after which others are started; small data sets are read before that.
        """
        self.seen = Seen()
        self._name, self._tree, self._on_progress, self._patience = name, tree, on_progress, patience
        self._processes = processes or usable_cores()

    def __iter__(self) -> Iterator[VideoAnnotation]:
        """In the publisher's order. DataError as ``read_video``, of the first video that is wrong."""
        sizes = read_manifest(self._tree)
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
        with ProcessPoolExecutor(
            self._processes, initializer=_start, initargs=(self._name.layout, self._tree, sizes)
        ) as pool:
            try:
                window = deque(pool.submit(_work, some) for some in itertools.islice(tasks, self._window()))
                while window:
                    videos, seen = _result(window.popleft())
                    window.extend(pool.submit(_work, some) for some in itertools.islice(tasks, 1))
                    self.seen.merge(seen)
                    yield from videos
            finally:
                pool.shutdown(cancel_futures=True)

    def _window(self) -> int:
        return self._processes * _TASKS_PER_PROCESS


def _result(future: Future[tuple[list[VideoAnnotation], Seen]]) -> tuple[list[VideoAnnotation], Seen]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "--num_workers: a process that read annotations was killed; was there too little memory? Give fewer"
        ) from error


def _compact(video: VideoAnnotation) -> VideoAnnotation:
    names = NumberedNames.of(video.frame_names)
    return video if names is None else replace(video, frame_names=names)


_job: list[tuple[Layout, DirectoryTree | TarTree, Sizes]] = []
"""What a reading process was started with."""


def _start(layout: str, tree: DirectoryTree | TarTree, sizes: Sizes) -> None:
    _job[:] = [(find_layout(layout), tree, sizes)]
    tree.take_seen()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's processes wait for work for ever if whoever started them is killed.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(entries: Sequence[Any]) -> tuple[list[VideoAnnotation], Seen]:
    layout, tree, sizes = _job[0]
    videos = [_compact(read_video(layout, tree, entry, sizes)) for entry in entries]
    return videos, tree.take_seen()
