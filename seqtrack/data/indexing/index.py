"""The index of a data set: names, sizes, tracks and boxes of all videos in one memory-mapped file.

An index is the same for every preprocessed version and every copy of a data set, and lies in ``--data_cache_dir``,
shared by all jobs:

    otb_50.otb-<fingerprint>.h5   the index; never changed once it is there
    otb_50.otb.json               which sources (folders, tars) have which, with stamps
    otb_50.otb.lock               held while one is built

The fingerprint is of everything that the index says. So sources that say the same share one, whether folder or tar;
a changed source gives a new file, and no process ever sees the one it has mapped change. The stamp (sizes and times
of what was read) makes checking a known source a matter of milliseconds. The lock only saves work: what is published
is complete, and equal whoever wrote it.
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

from seqtrack.data.arrays.arrayfile import Texts, open_arrays
from seqtrack.data.arrays.columns import scalars
from seqtrack.data.formats import DatasetName, code_digest
from seqtrack.data.indexing.index_build import SCHEMA, IndexWriter, content_fingerprint
from seqtrack.data.indexing.reading import Progress, ProgressLines, Reading
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import TEMPORARY_PREFIX, write_text

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
    def stem(self) -> str:
        return f"{self.name.folder}.{self.name.layout}{self.name.part and '-' + self.name.part}"

    @property
    def lock(self) -> Path:
        return self.cache_dir / f"{self.stem}.lock"

    @property
    def holder(self) -> Path:
        return self.cache_dir / f"{self.stem}.lock.holder"

    @property
    def sources(self) -> Path:
        return self.cache_dir / f"{self.stem}.json"

    def file(self, fingerprint: str) -> Path:
        return self.cache_dir / f"{self.stem}-{fingerprint[:12]}.h5"

    def files(self) -> list[Path]:
        """The indexes that are there, whatever source they were made from."""
        return sorted(self.cache_dir.glob(f"{self.stem}-*.h5"))

    def known(self) -> dict[str, Any]:
        """Source → its record (``remember``); empty when there is none that can be read."""
        try:
            sources = json.loads(self.sources.read_bytes())["sources"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {key: record for key, record in sources.items() if isinstance(record, dict)}

    def remember(self, source: str, stamp: dict[str, Any], fingerprint: str) -> None:
        code = code_digest(self.name.layout)
        record = {"stamp": stamp, "fingerprint": fingerprint, "schema": SCHEMA, "code": code}
        # Nothing is lost when this cannot be written, or when two write at once: the source is read once more.
        with contextlib.suppress(OSError):
            # In one line: for more than that json has no C code, and a stamp may name a hundred thousand files.
            write_text(self.sources, json.dumps({"sources": self.known() | {source: record}}, sort_keys=True) + "\n")

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
    on_progress: Progress | None = None,
    processes: int | None = None,
) -> Index:
    """The index of what ``tree`` holds now: the one in ``cache_dir`` if it is fresh, else built.

    Args:
        on_progress: called with videos read and videos in all; without it ``on_message`` says now and then how far
            it is, if it takes long.
        processes: how many read annotations at most (``Reading``).

    Raises:
        DataError: the annotations are not what the layout says.
        UserError: the cache folder cannot be written.
    """
    if (known := fresh_index(name, tree, cache_dir)) is not None:
        return known
    cached = CachedIndex(name, cache_dir)
    with _building(cached, on_message):
        if (known := fresh_index(name, tree, cache_dir)) is not None:  # whoever held the lock before has built it
            return known
        return _read_again(cached, tree, on_message, on_progress or ProgressLines(name, on_message), processes)


def fresh_index(name: DatasetName, tree: DirectoryTree | TarTree, cache_dir: Path) -> Index | None:
    """The index in ``cache_dir`` if it is known to be of what ``tree`` holds now; takes a moment, builds nothing."""
    cached = CachedIndex(name, cache_dir)
    record = cached.known().get(tree.source)
    if record is not None and not _outdated(record, name) and tree.matches(record.get("stamp")):
        with contextlib.suppress(FileNotFoundError, DataError, KeyError):
            return Index(cached.file(record["fingerprint"]))
    return None


def _read_again(
    cached: CachedIndex,
    tree: DirectoryTree | TarTree,
    on_message: Callable[[str], object],
    on_progress: Progress,
    processes: int | None,
) -> Index:
    """Reads everything, and publishes an index unless one that says the same is there."""
    name, record = cached.name, cached.known().get(tree.source)
    building = f"{name}: building the index ({{}}) from {tree.source}".format
    is_first = not cached.files()
    if is_first:
        on_message(building("there is none yet"))
    writer = IndexWriter(cached.cache_dir)
    with contextlib.closing(writer):
        reading = Reading(name, tree, processes, on_progress)
        for video in reading:
            with _naming_the_cache(cached):
                writer.add(video)
        with _naming_the_cache(cached):
            fingerprint = content_fingerprint(name.layout, writer.columns())
            index, damage = _try_open(cached.file(fingerprint))
            if index is None:
                if not is_first:
                    on_message(building(_outdated(record, name) or damage or "its source has changed"))
                writer.write(cached.file(fingerprint), name.folder, name.layout, tree.source, fingerprint)
                index = Index(cached.file(fingerprint))
    cached.remember(tree.source, tree.stamp(reading.seen), fingerprint)
    return index


def _try_open(path: Path) -> tuple[Index | None, str]:
    try:
        return Index(path), ""
    except FileNotFoundError:
        return None, ""
    except DataError as error:
        return None, f"the one there is damaged: {error}"


def _outdated(record: dict[str, Any] | None, name: DatasetName) -> str:
    """Why an index was not made as this version would make it; '' if it was."""
    if record is None:
        return ""
    if record.get("schema") != SCHEMA:
        return f"the one there has schema {record.get('schema')}, this version reads {SCHEMA}"
    return "the code that reads its layout has changed" if record.get("code") != code_digest(name.layout) else ""


@contextlib.contextmanager
def _building(cached: CachedIndex, on_message: Callable[[str], object]) -> Iterator[None]:
    """Holds the lock, after saying who has it if another does.

    Where no lock can be made because nothing can be written, what is there is used if it turns out to be right.
    """
    lock = filelock.FileLock(cached.lock)
    with _naming_the_cache(cached):
        try:
            cached.cache_dir.mkdir(parents=True, exist_ok=True)
            _acquire(lock, cached, on_message)
            for leftover in cached.cache_dir.glob(f"{TEMPORARY_PREFIX}{cached.stem}[.-]*"):
                leftover.unlink(missing_ok=True)  # of a builder that was killed: we hold its lock
            with contextlib.suppress(OSError):
                cached.holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        except NotImplementedError:
            on_message(f"{cached.lock}: this file system has no locks; building without one")
        except OSError:
            if not cached.files():
                raise
    try:
        yield
    finally:
        if lock.is_locked:
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
