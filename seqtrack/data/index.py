"""The index of a data set: names, sizes, tracks and boxes of all videos in one memory-mapped file.

An index is the same for every preprocessed version and every copy of a data set, and lies in ``--data_cache_dir``,
shared by all jobs:

    otb_50.otb-<fingerprint of the source>.h5   the index; never changed once it is there
    otb_50.otb.json                             which sources (folders, tars) have it, with stamps
    otb_50.otb.lock                             held while one is built

The file's name contains the fingerprint of its source, so a changed source gives a new file and no process
ever sees the one it has mapped change. The stamp (sizes and times) makes checking a known source a matter of
milliseconds. The lock only saves work: what is published is complete, and equal whoever wrote it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import numpy as np
from numpy.typing import NDArray

from seqtrack.data.arrayfile import Texts, open_arrays, scalars
from seqtrack.data.formats import DatasetName, read_videos
from seqtrack.data.index_build import SCHEMA, content_fingerprint, source_fingerprint, write_videos
from seqtrack.data.trees import DirectoryTree, TarTree
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import TEMPORARY_PREFIX, write_json

_WAIT_MESSAGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Track:
    """One target's labels: N frames, read-only views into the mapped file."""

    frames: NDArray[np.int32]
    """(N,) increasing positions in the video."""
    boxes: NDArray[np.float64]
    """(N, 4) x y w h, pixels of the original image, 0-based; NaN where absent."""
    present: NDArray[np.bool_]
    occluded: NDArray[np.bool_]
    visibility: NDArray[np.float16]
    """(N,) share of the target that can be seen, in [0, 1]."""
    category: str


class Totals(NamedTuple):
    """How much there is in a data set."""

    videos: int
    tracks: int
    frames: int
    """Of all videos, labelled or not."""
    boxes: int
    """Labels of a target that is in view."""
    absent: int
    """Labels that say that it is not."""


class Index:
    """An opened index; videos and tracks are numbered from 0. Cheap to pickle: it travels as its path."""

    def __init__(self, path: Path) -> None:
        """Opens the file at ``path``.

        Raises:
            FileNotFoundError: nothing is there.
            DataError: it is no index, is cut short, or was made by another version.
        """
        arrays, meta = open_arrays(path)
        if meta.get("schema") != SCHEMA:
            raise DataError(f"{path}: made by another version (schema {meta.get('schema')}, expected {SCHEMA})")
        try:
            self.path = path
            self.name: str = meta["name"]
            self.layout: str = meta["layout"]
            self.fingerprint: str = meta["fingerprint"]
            self.source: str = meta["source"]
            self.source_fingerprint: str = meta["source_fingerprint"]
            self._frames, self._boxes, self._polygons = arrays["frames"], arrays["boxes"], arrays["polygons"]
            self._present = arrays["present"].view(np.bool_)
            self._occluded = arrays["occluded"].view(np.bool_)
            self._visibility = arrays["visibility"]
            self._sizes = scalars(arrays["sizes"])
            self._lengths, self._first_track = scalars(arrays["lengths"]), scalars(arrays["first_track"])
            self._starts, self._digits = scalars(arrays["starts"]), scalars(arrays["digits"])
            self._first_explicit = scalars(arrays["first_explicit"])
            self._first_row, self._first_polygon = scalars(arrays["first_row"]), scalars(arrays["first_polygon"])
            self._track_videos = scalars(arrays["track_videos"])
            self._track_categories = scalars(arrays["track_categories"])
            self._names, self._track_names, self._prefixes, self._suffixes, self._explicit, categories = (
                Texts(arrays[f"{name}_text"], arrays[f"{name}_offsets"])
                for name in ("video_name", "track_name", "prefix", "suffix", "explicit", "category")
            )
        except KeyError as error:
            raise DataError(f"{path}: {error} is missing in it; delete it and it is made again") from error
        self._categories = [categories[number] for number in range(len(categories))]
        self.num_videos = len(self._lengths)
        self.num_tracks = len(self._track_videos)
        if self._first_row[self.num_tracks] != len(self._boxes) or self._first_track[-1] != self.num_tracks:
            raise DataError(f"{path}: its tables disagree; delete it and it is made again")

    def __reduce__(self) -> tuple[Callable[[Path], Index], tuple[Path]]:
        return open_index, (self.path,)

    def totals(self) -> Totals:
        present = int(np.count_nonzero(self._present))
        return Totals(self.num_videos, self.num_tracks, sum(self._lengths), present, len(self._present) - present)

    def video_name(self, video: int) -> str:
        return self._names[video]

    def video_length(self, video: int) -> int:
        length: int = self._lengths[video]
        return length

    def video_size(self, video: int) -> tuple[int, int]:
        """(width, height) of the original frames."""
        return self._sizes[video, 0], self._sizes[video, 1]

    def frame_name(self, video: int, frame: int) -> str:
        """Relative to the data set's folder, '/'-separated."""
        if not 0 <= frame < self._lengths[video]:
            raise IndexError(f"video {self.video_name(video)} has {self._lengths[video]} frames, not {frame}")
        digits: int = self._digits[video]
        if not digits:
            return self._explicit[self._first_explicit[video] + frame]
        return f"{self._prefixes[video]}{self._starts[video] + frame:0{digits}d}{self._suffixes[video]}"

    def tracks_of(self, video: int) -> range:
        return range(self._first_track[video], self._first_track[video + 1])

    def track_video(self, track: int) -> int:
        video: int = self._track_videos[track]
        return video

    def track_name(self, track: int) -> str:
        return self._track_names[track]

    @property
    def categories(self) -> list[str]:
        """Names, each once; "" stands for none."""
        return self._categories

    @property
    def track_categories(self) -> NDArray[np.int32]:
        """(num_tracks,) places in ``categories``; read-only."""
        return np.asarray(self._track_categories)

    def track(self, track: int) -> Track:
        first, last = self._first_row[track], self._first_row[track + 1]
        return Track(
            self._frames[first:last],
            self._boxes[first:last],
            self._present[first:last],
            self._occluded[first:last],
            self._visibility[first:last],
            self._categories[self._track_categories[track]],
        )

    def polygons(self, track: int) -> NDArray[np.float64] | None:
        """(N, 8) x1 y1 … x4 y4, one row per labelled frame, where the benchmark has polygons."""
        first = self._first_polygon[track]
        if first < 0:
            return None
        count = self._first_row[track + 1] - self._first_row[track]
        view: NDArray[np.float64] = self._polygons[first : first + count]
        return view


def open_index(path: Path) -> Index:
    return Index(path)


def verify_index(path: Path) -> Index:
    """Opens an index and compares every byte with its fingerprint. DataError when they disagree."""
    index = Index(path)
    arrays, _ = open_arrays(path)
    if content_fingerprint(index.layout, {name: [array] for name, array in arrays.items()}) != index.fingerprint:
        raise DataError(f"{path}: its content does not have its fingerprint; delete it and it is made again")
    return index


@dataclass(frozen=True)
class CachedIndex:
    """The files of one data set's index in a cache folder."""

    name: DatasetName
    cache_dir: Path

    @property
    def _stem(self) -> str:
        return f"{self.name.folder}.{self.name.layout}{self.name.part and '-' + self.name.part}"

    @property
    def lock(self) -> Path:
        return self.cache_dir / f"{self._stem}.lock"

    @property
    def holder(self) -> Path:
        return self.cache_dir / f"{self._stem}.lock.holder"

    @property
    def sources(self) -> Path:
        return self.cache_dir / f"{self._stem}.json"

    def file(self, fingerprint: str) -> Path:
        return self.cache_dir / f"{self._stem}-{fingerprint[:12]}.h5"

    def known(self) -> dict[str, Any]:
        """Source → ``{"stamp": …, "fingerprint": …, "schema": …}``; empty when there is no readable record."""
        try:
            sources = json.loads(self.sources.read_bytes())["sources"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {key: record for key, record in sources.items() if isinstance(record, dict)}

    def remember(self, source: str, stamp: dict[str, Any], fingerprint: str) -> None:
        record = {"stamp": stamp, "fingerprint": fingerprint, "schema": SCHEMA}
        # Nothing is lost when this cannot be written, or when two write at once: the source is read once more.
        with contextlib.suppress(OSError):
            write_json(self.sources, {"sources": self.known() | {source: record}})

    def newest(self) -> Index | None:
        """The index that was made last, whatever its source."""
        newest: tuple[float, Index] | None = None
        for record in self.known().values():
            with contextlib.suppress(DataError, OSError):
                index = Index(self.file(str(record.get("fingerprint"))))
                age = index.path.stat().st_mtime
                newest = max(newest or (age, index), (age, index), key=lambda item: item[0])
        return newest[1] if newest else None


def ensure_index(
    name: DatasetName,
    tree: DirectoryTree | TarTree,
    cache_dir: Path,
    on_message: Callable[[str], object] = print,
) -> Index:
    """The index of what ``tree`` holds now: the one in ``cache_dir`` if it is fresh, else built.

    Raises:
        DataError: the annotations are not what the layout says.
        UserError: the cache folder cannot be written.
    """
    if (known := fresh_index(name, tree, cache_dir)) is not None:
        return known
    cached = CachedIndex(name, cache_dir)
    record = cached.known().get(tree.source)
    try:
        stamp = tree.stamp()
    except OSError as error:
        raise DataError(f"{tree.source}: cannot read it ({error.strerror})") from error
    fingerprint = source_fingerprint(name, tree)
    path = cached.file(fingerprint)
    index, reason = _try_open(path)
    if index is None:
        reason = _why(record, fingerprint) or reason
        with _building(cached, on_message):
            index, _ = _try_open(path)  # whoever held the lock before may have built it
            if index is None:
                on_message(f"{name}: building the index ({reason}) from {tree.source}")
                with _naming_the_cache(cached):
                    videos = read_videos(name, tree)
                    write_videos(videos, path, name.folder, name.layout, tree.source, fingerprint)
                index = Index(path)
    cached.remember(tree.source, stamp, fingerprint)
    return index


def fresh_index(name: DatasetName, tree: DirectoryTree | TarTree, cache_dir: Path) -> Index | None:
    """The index in ``cache_dir`` if it is known to be of what ``tree`` holds now; takes a moment, builds nothing."""
    cached = CachedIndex(name, cache_dir)
    record = cached.known().get(tree.source)
    if record is not None and tree.matches(record.get("stamp")) and record.get("schema") == SCHEMA:
        with contextlib.suppress(FileNotFoundError, DataError):
            return Index(cached.file(record["fingerprint"]))
    return None


def _try_open(path: Path) -> tuple[Index | None, str]:
    try:
        return Index(path), ""
    except FileNotFoundError:
        return None, "there is none yet"
    except DataError as error:
        return None, f"the one there is damaged: {error}"


def _why(record: dict[str, Any] | None, fingerprint: str) -> str:
    if record is None:
        return ""
    if record.get("schema") != SCHEMA:
        return f"the one there has schema {record.get('schema')}, this version reads {SCHEMA}"
    return "its source has changed" if record.get("fingerprint") != fingerprint else ""


@contextlib.contextmanager
def _building(cached: CachedIndex, on_message: Callable[[str], object]) -> Iterator[None]:
    """Holds the lock, after saying who has it if another does."""
    with _naming_the_cache(cached):
        cached.cache_dir.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(cached.lock)
        try:
            _acquire(lock, cached, on_message)
        except NotImplementedError:
            on_message(f"{cached.lock}: this file system has no locks; building without one")
        for leftover in cached.cache_dir.glob(f"{TEMPORARY_PREFIX}{cached._stem}[.-]*"):
            if lock.is_locked:
                leftover.unlink(missing_ok=True)  # of a builder that was killed: we hold its lock
        with contextlib.suppress(OSError):
            cached.holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            cached.holder.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: filelock.BaseFileLock, cached: CachedIndex, on_message: Callable[[str], object]) -> None:
    said = -_WAIT_MESSAGE_SECONDS
    while True:
        try:
            lock.acquire(timeout=1.0, poll_interval=0.05)
            return
        except filelock.Timeout:
            if time.monotonic() - said >= _WAIT_MESSAGE_SECONDS:
                said = time.monotonic()
                try:
                    holder = cached.holder.read_text()
                except OSError:
                    holder = "another process"
                on_message(f"{cached.name}: waiting for {holder}, which builds the index (lock {cached.lock})")


@contextlib.contextmanager
def _naming_the_cache(cached: CachedIndex) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = "no space left on device" if error.errno == errno.ENOSPC else error.strerror
        raise UserError(
            f"--data_cache_dir: cannot write the index of {cached.name} to {cached.cache_dir} ({cause});"
            " give a folder that can be written and has room"
        ) from error
