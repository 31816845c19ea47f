"""From the flags that say where data lie (``seqtrack.data.locations``) to an opened data set.

The index of a data set comes from its original version, or from a preprocessed one that carries it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import MANIFEST, DatasetName
from seqtrack.data.imaging.crops import CropMap
from seqtrack.data.indexing.index import CachedIndex, Index, ensure_index, fresh_index
from seqtrack.data.indexing.reading import Progress
from seqtrack.data.locations import ARCHIVES, ORIGINAL, Locations, Source, locate, located, places_of_original
from seqtrack.data.preprocessing.pictures import (
    Manifest,
    Pictures,
    embedded_index,
    open_pictures,
    picture_of_frame,
    picture_of_row,
    read_manifest,
)
from seqtrack.data.preprocessing.versions import picture_size
from seqtrack.data.storage import Frames
from seqtrack.data.storage.backends import frames_digest, open_frames
from seqtrack.data.storage.staging import StagedCopy
from seqtrack.errors import DataError, UserError

Say = Callable[[str], object]


class Target(NamedTuple):
    """The picture that training uses for one labelled frame of a track."""

    data: bytes
    """Encoded."""
    crop: CropMap | None
    """From pixels of the original frame to pixels of this picture, where it is a crop around the target
    (``crop_S`` versions); None: it is the whole frame, perhaps resized."""


@dataclass
class Dataset:
    """An opened data set: labels in ``index``, encoded frames by ``read_frame``.

    It may be used after a fork, and pickled for spawn; only the process that opened it holds the staged copy.
    """

    name: str
    """The folder's name."""
    index: Index
    frames: Frames
    data_fingerprint: dict[str, str]
    """``index``: of all labels; ``frames``: digest of the tar, absent where a plain folder is read."""
    staged: StagedCopy | None = field(default=None, repr=False)
    preproc: str = ORIGINAL
    """The version."""

    def read_frame(self, video: int, frame: int) -> bytes:
        """The encoded image. DataError that names the file if it cannot be read."""
        return self.frames.read(self.index.frame_name(video, frame))

    def picture_size(self, video: int) -> tuple[int, int] | None:
        """(width, height) of its frames in this version (of crops: before they were cut), from the version's name;
        None where only decoding tells."""
        return picture_size(self.preproc, self.index.video_size(video))

    def stored(self, track: int) -> NDArray[np.integer[Any]] | None:
        """Which rows of the track (positions, increasing) this version has pictures for; None: all of them."""
        return None

    def read_target(self, track: int, row: int) -> Target:
        """The picture for row ``row`` of the track's labels."""
        return Target(self.read_frame(self.index.track_video(track), int(self.index.track(track).frames[row])), None)

    def describe_target(self, track: int, row: int) -> str:
        """For messages, as ``describe_frame``."""
        return self.describe_frame(self.index.track_video(track), int(self.index.track(track).frames[row]))

    def describe_frame(self, video: int, frame: int) -> str:
        """For messages: video, frame and file."""
        where = self.frames.describe(self.index.frame_name(video, frame))
        return f"{self.name}: video {self.index.video_name(video)}, frame {frame} ({where})"

    def close(self) -> None:
        if self.staged is not None:
            self.frames.close()
            self.staged.close()
            self.staged = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"staged": None}


@dataclass
class PreprocessedDataset(Dataset):
    """A version that ``seqtrack preprocess`` made."""

    manifest: Manifest = field(kw_only=True)
    pictures: Pictures = field(kw_only=True)

    def read_frame(self, video: int, frame: int) -> bytes:
        """The frame, resized. DataError where this version has no picture of it."""
        if self.pictures.are_crops or self.pictures.find(video, frame) is None:
            raise DataError(f"{self.describe_frame(video, frame)}: {self._why_missing(video, frame)}")
        return self.frames.read(picture_of_frame(self.index.frame_name(video, frame)))

    def _why_missing(self, video: int, frame: int) -> str:
        if self.index.frame_name(video, frame) in self.manifest.unreadable:
            return "it was left out as unreadable (--skip_unreadable); use another version, such as original"
        return f"{self.manifest.lacks}; for whole frames use the original version (--eval_preproc original)"

    def stored(self, track: int) -> NDArray[np.integer[Any]] | None:
        return self.pictures.rows(track)

    def read_target(self, track: int, row: int) -> Target:
        if not self.pictures.are_crops:
            return super().read_target(track, row)
        picture = self.pictures.find(track, row)
        if picture is None:
            raise DataError(f"{self.describe_target(track, row)}: this version has no picture of row {row}")
        return Target(self.frames.read(picture_of_row(track, row)), self.pictures.crop_map(picture))

    def describe_target(self, track: int, row: int) -> str:
        if not self.pictures.are_crops:
            return super().describe_target(track, row)
        where = self.frames.describe(picture_of_row(track, row))
        return f"{self.name}: track {self.index.track_name(track)}, row {row} ({where})"

    def describe_frame(self, video: int, frame: int) -> str:
        if self.pictures.are_crops:
            return f"{self.name}: video {self.index.video_name(video)}, frame {frame}, in {self.manifest.preproc}"
        where = self.frames.describe(picture_of_frame(self.index.frame_name(video, frame)))
        return f"{self.name}: video {self.index.video_name(video)}, frame {frame} ({where})"

    def verify(self) -> None:
        """Compares every picture with its checksum. DataError that names the first that is not as it was made."""
        index, pictures = self.index, self.pictures
        for group in range(index.num_tracks if pictures.are_crops else index.num_videos):
            for picture in pictures.of_group(group):
                number = int(pictures.numbers[picture])
                is_crop = pictures.are_crops
                name = picture_of_row(group, number) if is_crop else picture_of_frame(index.frame_name(group, number))
                if zlib.crc32(self.frames.read(name)) != pictures.checksums[picture]:
                    where = self.frames.describe(name)
                    raise DataError(f"{where}: it does not have its checksum; make or copy this version again")


def open_index_of(
    name: DatasetName,
    locations: Locations,
    on_message: Say = print,
    on_progress: Progress | None = None,
    processes: int | None = None,
) -> Index:
    """The index, built if it is missing or its source has changed (``ensure_index``).

    Raises:
        UserError, DataError: there is nothing to build it from, or what there is cannot be read.
    """
    return _index_of(locate(name, locations), locations, on_message, on_progress, processes)


def _index_of(
    source: Source,
    locations: Locations,
    on_message: Say,
    on_progress: Progress | None = None,
    processes: int | None = None,
) -> Index:
    """The index of the very copy that frames are read from: another copy may hold other videos."""
    name, cache_dir = source.name, locations.cache_dir
    tree = source.tree(cache_dir)
    if source.preproc != ORIGINAL and (manifest := read_manifest(tree)) is not None:
        index = embedded_index(tree, manifest, name, cache_dir)
    elif source.preproc == ORIGINAL or MANIFEST in tree.list().files:
        return ensure_index(name, tree, cache_dir, on_message, on_progress, processes)
    else:
        index = _index_of_original(source, locations, on_message, on_progress, processes)
    if source.kind in ARCHIVES:  # so that ``is_indexed`` need not open it
        CachedIndex(name, cache_dir).remember(tree.source, tree.stamp(tree.take_seen()), index.fingerprint)
    return index


def _index_of_original(
    version: Source, locations: Locations, on_message: Say, on_progress: Progress | None, processes: int | None
) -> Index:
    """For a version that was made by other means, and says nothing of the original's boxes and sizes."""
    name, cache_dir = version.name, locations.cache_dir
    original = located(name, locations, ORIGINAL)
    if original is not None:
        return ensure_index(name, original.tree(cache_dir), cache_dir, on_message, on_progress, processes)
    known = CachedIndex(name, cache_dir).newest()
    if known is None:
        raise UserError(
            f"data set {name}: its index needs the original version, {places_of_original(name, locations)},"
            f" or {MANIFEST} inside {version.path}; neither is there"
        )
    on_message(f"{name}: the original version is not here; using the index made from {known.source}")
    return known


def _manifest(source: Source, cache_dir: Path) -> Manifest | None:
    return None if source.preproc == ORIGINAL else read_manifest(source.tree(cache_dir))


def prepare(name: DatasetName, locations: Locations, on_message: Say = print, assessed: bool = False) -> None:
    """Checks that the data set is there with every video that is meant, and that its index is fresh; for the driver,
    before trials start.

    Raises:
        UserError: it is to be assessed on, and this version lacks frames.
    """
    source = locate(name, locations)
    manifest = _manifest(source, locations.cache_dir)
    if assessed and manifest is not None and manifest.lacks:
        raise UserError(
            f"--eval_preproc: {source.path} serves training only ({manifest.lacks}); give --eval_preproc original"
        )
    name.videos(open_index_of(name, locations, on_message))


def is_indexed(name: DatasetName, locations: Locations) -> bool:
    """Whether ``open_dataset`` would find an index and build none. Reads next to nothing.

    Raises:
        UserError: the data set itself is nowhere.
    """
    source = locate(name, locations)
    if source.kind not in ARCHIVES and (manifest := _manifest(source, locations.cache_dir)) is not None:
        return CachedIndex(name, locations.cache_dir).file(manifest.index).exists()
    if fresh_index(name, source.tree(locations.cache_dir), locations.cache_dir) is not None:
        return True
    if source.preproc == ORIGINAL or source.kind in ARCHIVES:
        return False
    original = located(name, locations, ORIGINAL)
    if original is None:
        return CachedIndex(name, locations.cache_dir).newest() is not None
    return fresh_index(name, original.tree(locations.cache_dir), locations.cache_dir) is not None


def open_dataset(name: DatasetName, locations: Locations, on_message: Say = print) -> Dataset:
    """Stages the data set if that is asked for, and opens its index and frames."""
    source = locate(name, locations)
    index = _index_of(source, locations, on_message)
    opened = open_frames(source, locations, on_message)
    try:
        manifest = None if source.preproc == ORIGINAL else read_manifest(opened.frames)
        fingerprint = _fingerprint(index, manifest, opened.digest)
        if manifest is None:
            return Dataset(name.folder, index, opened.frames, fingerprint, opened.staged, source.preproc)
        if manifest.index != index.fingerprint:
            raise DataError(f"{source.path}: changed while it was opened; give the command again")
        pictures = open_pictures(opened.frames, manifest, name.folder, locations.cache_dir)
    except BaseException:
        if opened.staged is not None:
            opened.staged.close()
        raise
    return PreprocessedDataset(
        name.folder,
        index,
        opened.frames,
        fingerprint,
        opened.staged,
        manifest.preproc,
        manifest=manifest,
        pictures=pictures,
    )


def fingerprint(name: DatasetName, locations: Locations, on_message: Say = print) -> dict[str, str]:
    """What ``open_dataset`` would report as ``data_fingerprint``, without staging anything."""
    source = locate(name, locations)
    index, manifest = _index_of(source, locations, on_message), _manifest(source, locations.cache_dir)
    return _fingerprint(index, manifest, None if manifest is not None else frames_digest(source, locations))


def _fingerprint(index: Index, manifest: Manifest | None, digest: str | None) -> dict[str, str]:
    """``digest``: of the archive that frames come from. A version that ``seqtrack preprocess`` made has its own, the
    same for a folder, a tar and a zip: it covers the checksum of each picture."""
    frames = digest if manifest is None else manifest.checksum
    return {"index": index.fingerprint} | ({"frames": frames} if frames else {})
