"""Where crop-and-pickle sets lie (the layout ``clean``), and their pictures: in a zip, or in a folder.

    --data_paths NAME=DIR                DIR holds the pickle, and perhaps those of the other sets
    {data_dir}/original/{NAME}/          likewise
    {data_dir}/                          likewise: PySiamTracking's own --data_dir

Beside ``{set}_clean.pkl`` lies a zip or folder with the pictures. Its publisher calls them ``COCO``, ``got10k_train``
(a folder) and ``got10k_train_images`` (a zip), ``LaSOT_train_images`` or, on its server, ``LaSOT_trian_images``,
``TrackingNet_images``: any name that is the set's but for case, those letters and ``_images`` is taken. By default
the zip, as PySiamTracking takes it; with ``--from_file`` (``--storage=dir``) the folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqtrack.data.formats import DatasetName, Listing
from seqtrack.data.formats.clean import pickle_in, stem_of
from seqtrack.data.locations import ORIGINAL, Locations, Pictures, Source, Storage, given_path, not_found
from seqtrack.data.storage import ArchiveFrames, DirectoryFrames, Frames, open_archive
from seqtrack.data.storage.trees import DirectoryTree, Seen, size_and_time
from seqtrack.errors import DataError, UserError


def find(name: DatasetName, locations: Locations) -> Source:
    """As ``locations.locate``."""
    stem = stem_of(name.part, name.folder)
    folders = []
    if (given := given_path(name, locations)) is not None:
        folders.append((given, "--data_paths"))
    elif locations.data_dir is not None:
        data_dir = locations.data_dir.expanduser()
        folders += [(data_dir / ORIGINAL / name.folder, "--data_dir"), (data_dir, "--data_dir")]
    for folder, flag in folders:
        # In a folder that may hold anything, only the set's own name will do.
        if pickle_in(_files(folder), stem) is not None and (flag == "--data_paths" or _own_pickle(folder, stem)):
            return Source(name, locations.preproc, folder, "dir", locations.stage_mode)
    raise not_found(name, [f"{folder}/{stem}_clean.pkl ({flag})" for folder, flag in folders], locations)


def tree(source: Source, cache_dir: Path | None) -> DirectoryTree:
    return CropTree(source, cache_dir)


def pictures(source: Source, cache_dir: Path | None, kind: Storage) -> Pictures:
    """The zip, or the folder, of this set. UserError that names what was expected when there is none."""
    stem = stem_of(source.name.part, source.name.folder)
    archive, folder = _beside(source.path, stem)
    if kind in ("auto", "zip") and archive is not None:
        return Pictures(archive=archive)
    if kind in ("auto", "dir") and folder is not None:
        return Pictures(frames=DirectoryFrames(folder))
    wanted = {"dir": f"the folder {stem}/", "zip": f"{stem}.zip"}.get(kind, f"{stem}.zip or the folder {stem}/")
    raise UserError(
        f"data set {source.name}: no pictures in {source.path}; expected {wanted} (or {stem}_images) there"
        + ("" if kind == "auto" else f", as --storage={kind} says")
    )


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return []


def _own_pickle(folder: Path, stem: str) -> bool:
    return any((folder / name).is_file() for name in (f"{stem}_clean.pkl", f"{stem}.pkl"))


def _beside(folder: Path, stem: str) -> tuple[Path | None, Path | None]:
    """(zip, folder) with the pictures of a set."""
    archive = directory = None
    for entry in sorted(folder.iterdir()):
        own, suffix = (entry.name[:-4], ".zip") if entry.suffix.lower() == ".zip" else (entry.name, "")
        if _plain(own) == _plain(stem):
            if suffix and entry.is_file():
                archive = entry
            elif not suffix and entry.is_dir():
                directory = entry
    return archive, directory


def _plain(name: str) -> str:
    return name.lower().replace("trian", "train").removesuffix("_images").removesuffix("_clean")


class CropTree(DirectoryTree):
    """The pickle of a set, and pictures by the names in it; nothing else of the folder, where other sets may lie."""

    def __init__(self, source: Source, cache_dir: Path | None) -> None:
        super().__init__(source.path, source.name.folder)
        self._source, self._cache_dir = source, cache_dir
        self._pictures: Frames | None = None
        found = pickle_in(_files(source.path), stem_of(source.name.part, source.name.folder))
        if found is None:
            raise DataError(f"{source.path}: the pickle of {source.name} has gone; get it again")
        self._pickle = found

    def __reduce__(self) -> tuple[type[CropTree], tuple[Any, ...]]:
        return CropTree, (self._source, self._cache_dir)

    def files(self) -> Sequence[str]:
        return [self._pickle]

    def list(self, folder: str = "") -> Listing:
        return Listing([], [] if folder else [self._pickle])

    def read(self, name: str) -> bytes:
        return super().read(name) if name == self._pickle else self._opened().read(name)

    def read_head(self, name: str, size: int) -> bytes:
        return self.read(name)[:size]

    def describe(self, name: str) -> str:
        return super().describe(name) if name == self._pickle else self._opened().describe(name)

    def stamp(self, seen: Seen) -> dict[str, Any]:
        return {"folders": {}, "files": {self._pickle: size_and_time(self.root / self._pickle)}}

    def _opened(self) -> Frames:
        if self._pictures is None:
            found = pictures(self._source, self._cache_dir, "auto")
            archive: ArchiveFrames | None = None
            if found.archive is not None:
                archive = open_archive(found.archive, "", self._cache_dir)
            self._pictures = archive or found.frames
        if self._pictures is None:
            raise ValueError("expected pictures in a zip or a folder")
        return self._pictures
