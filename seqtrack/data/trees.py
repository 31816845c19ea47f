"""A data set's files as a tree, on disk or in a tar: listed and read once, to build an index."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seqtrack.data.formats import Listing
from seqtrack.data.storage import ArchiveFrames, open_archive, read_file
from seqtrack.errors import DataError

ANNOTATIONS = (".txt", ".tag", ".label", ".json", ".xml", ".csv", ".ini", ".value", ".ann", ".pkl")
"""What is read to build an index; together with the names of images it is the source that an index was made from."""


def is_annotation(name: str) -> bool:
    # Masks are pictures, in the folder of this name that DAVIS and YouTube-VOS have.
    return name.lower().endswith(ANNOTATIONS) or "/Annotations/" in f"/{name}"


def is_hidden(name: str) -> bool:
    """Dot files (``._0001.jpg``, ``.complete``) and what macOS adds to archives are no part of a data set."""
    return any(word.startswith(".") or word == "__MACOSX" for word in name.split("/"))


def listings(names: Iterable[str]) -> dict[str, Listing]:
    """What ``Tree.list`` says of each folder, from the names of all files."""
    found = {"": Listing([], [])}

    def enter(folder: str) -> Listing:
        if folder not in found:
            found[folder] = Listing([], [])
            above, _, own = folder.rpartition("/")
            enter(above).folders.append(own)
        return found[folder]

    for name in names:
        folder, _, own = name.rpartition("/")
        enter(folder).files.append(own)
    return {folder: Listing(sorted(folders), sorted(files)) for folder, (folders, files) in found.items()}


class DirectoryTree:
    """A data set's folder on disk."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self._files: list[str] | None = None
        self._folders: list[str] = []

    @property
    def source(self) -> str:
        return str(self.root.absolute())

    def files(self) -> Sequence[str]:
        if self._files is None:
            self._files, self._folders = [], []
            self._walk("", frozenset())
            self._files.sort()
        return self._files

    def list(self, folder: str = "") -> Listing:
        folders: list[str] = []
        files: list[str] = []
        path = self.root / folder
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not is_hidden(entry.name):
                        (folders if entry.is_dir() else files).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise DataError(f"{path}: cannot list it ({error.strerror})") from error
        return Listing(sorted(folders), sorted(files))

    def _walk(self, relative: str, above: frozenset[tuple[int, int]]) -> None:
        folder = self.root / relative
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in above:  # a link to a folder that holds it
                return
            self._folders.append(relative)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    name = f"{relative}/{entry.name}" if relative else entry.name
                    if entry.is_dir():
                        self._walk(name, above | {identity})
                    elif self._files is not None:
                        self._files.append(name)
        except OSError as error:
            raise DataError(f"{folder}: cannot list it ({error.strerror})") from error

    def read(self, name: str) -> bytes:
        return read_file(str(self.root / name))

    def describe(self, name: str) -> str:
        return str(self.root / name)

    def stamp(self) -> dict[str, Any]:
        """What changes when an annotation is edited or a frame is added or removed; cheap to check again."""
        annotations = [name for name in self.files() if is_annotation(name)]
        return {
            "folders": {name: (self.root / name).stat().st_mtime_ns for name in self._folders},
            "files": {name: size_and_time(self.root / name) for name in annotations},
        }

    def matches(self, stamp: Any) -> bool:
        """Whether nothing has changed since; a ``stat`` per folder and annotation, no listing."""
        try:
            return all(
                (self.root / name).stat().st_mtime_ns == time for name, time in stamp["folders"].items()
            ) and all(size_and_time(self.root / name) == list(was) for name, was in stamp["files"].items())
        except (OSError, KeyError, TypeError, AttributeError):
            return False


class TarTree:
    """The top folder of an uncompressed tar. Nothing is read before it is needed."""

    def __init__(self, tar: Path, name: str, cache_dir: Path | None = None) -> None:
        self.tar, self.name = tar, name
        self._cache_dir = cache_dir
        self._frames: ArchiveFrames | None = None
        self._files: list[str] | None = None
        self._folders: dict[str, Listing] | None = None

    @property
    def source(self) -> str:
        return str(self.tar.absolute())

    def _opened(self) -> ArchiveFrames:
        if self._frames is None:
            self._frames = open_archive(self.tar, self.name, self._cache_dir)
        return self._frames

    def files(self) -> Sequence[str]:
        if self._files is None:
            self._files = [name for name in self._opened().table.names() if not is_hidden(name)]
        return self._files

    def list(self, folder: str = "") -> Listing:
        if self._folders is None:
            self._folders = listings(self.files())
        return self._folders.get(folder, Listing([], []))

    def read(self, name: str) -> bytes:
        return self._opened().read(name)

    def describe(self, name: str) -> str:
        return f"{self.tar}: {self.name}/{name}"

    def stamp(self) -> dict[str, Any]:
        return {"tar": size_and_time(self.tar)}

    def matches(self, stamp: Any) -> bool:
        try:
            return list(stamp["tar"]) == size_and_time(self.tar)
        except (OSError, KeyError, TypeError):
            return False


def size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
