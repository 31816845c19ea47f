"""A data set's files as a tree, on disk or in a tar: what is listed and read of it to build an index.

A tree takes note of what it has been asked for. That is what the index depends on, and so what its stamp is made
of: whatever else lies in the folder does not matter, and nobody lists it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seqtrack.data.formats import Listing
from seqtrack.data.indexing.numbering import NumberedNames
from seqtrack.data.storage import ArchiveFrames, MemberTable, open_archive, read_file
from seqtrack.data.storage.files import read_with_status
from seqtrack.errors import DataError

ANNOTATIONS = (".txt", ".tag", ".label", ".json", ".xml", ".csv", ".ini", ".value", ".ann", ".pkl")
"""What is packed of a data set beside its frames."""

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".JPG", ".JPEG", ".PNG")
_OF_MACOS = "__MACOSX"
MOST_FILES = 100_000
"""Of more annotation files than this only their folders are looked at to know whether they have changed: a ``stat``
of each takes longer than a person waits."""


def is_annotation(name: str) -> bool:
    # Masks are pictures, in the folder of this name that DAVIS and YouTube-VOS have.
    return name.lower().endswith(ANNOTATIONS) or "/Annotations/" in f"/{name}"


def is_hidden(name: str) -> bool:
    """Dot files (``._0001.jpg``, ``.complete``) and what macOS adds to archives are no part of a data set."""
    return any(_is_hidden(word) for word in name.split("/"))


def _is_hidden(word: str) -> bool:
    return word.startswith(".") or word == _OF_MACOS


def listings(names: Iterable[str]) -> dict[str, Listing]:
    """What ``Tree.list`` says of each folder, from the names of all files."""
    found: dict[str, tuple[list[str], list[str]]] = {"": ([], [])}

    def enter(folder: str) -> tuple[list[str], list[str]]:
        if folder not in found:
            found[folder] = ([], [])
            above, _, own = folder.rpartition("/")
            enter(above)[0].append(own)
        return found[folder]

    for name in names:
        folder, _, own = name.rpartition("/")
        enter(folder)[1].append(own)
    return {folder: Listing(sorted(folders), sorted(files)) for folder, (folders, files) in found.items()}


class Seen:
    """What has been listed and read of a folder on disk, with the times that tell whether it has changed since."""

    def __init__(self) -> None:
        self.folders: dict[str, int | None] = {}
        """Folder → time of its last change; None: there is no such folder."""
        self.files: dict[str, list[int]] | None = {}
        """File → size and time of its last change; None: there are more than ``MOST_FILES``."""

    def merge(self, other: Seen) -> None:
        for folder, time in other.folders.items():
            self.folders.setdefault(folder, time)
        if self.files is None or other.files is None or len(self.files) > MOST_FILES:
            self.files = None
            return
        for file, size_and_time in other.files.items():
            self.files.setdefault(file, size_and_time)


class DirectoryTree:
    """A data set's folder on disk. It travels to other processes without what it has seen."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self._prefix = f"{root}/"  # not a Path: these are joined millions of times
        self._seen = Seen()

    def __reduce__(self) -> tuple[type[DirectoryTree], tuple[Any, ...]]:
        return type(self), (self.root, self.name)

    @property
    def source(self) -> str:
        return str(self.root.absolute())

    def list(self, folder: str = "") -> Listing:
        path = self._prefix + folder
        self._note_folder(folder)
        try:
            names = sorted(os.listdir(path))  # noqa: PTH208 (a Path each would triple the time)
        except (FileNotFoundError, NotADirectoryError):
            return Listing([], [])
        except OSError as error:
            raise DataError(f"{path}: cannot list it ({error.strerror})") from error
        # What is called like a picture is one: to ask the system about each of millions takes longer than the rest.
        if (numbered := NumberedNames.of(names)) is not None and numbered.suffix in _PICTURES:
            return Listing([], numbered)
        folders, files = [], []
        for name in names:
            if name.endswith(_PICTURES):
                if name[0] != ".":
                    files.append(name)
                continue
            if _is_hidden(name):
                continue
            entry = f"{path}/{name}"
            mode = _mode(entry)
            is_link = stat.S_ISLNK(mode)
            if not (os.path.isdir(entry) if is_link else stat.S_ISDIR(mode)):  # noqa: PTH112 (as above)
                files.append(name)
            elif not (is_link and self._leads_back(entry, folder)):
                folders.append(name)
        return Listing(folders, files)

    def _leads_back(self, link: str, folder: str) -> bool:
        """Whether a link in a folder means one that holds it: whoever walks on would never end."""
        status = _status(link)
        while True:
            if os.path.samestat(status, _status(self._prefix + folder)):
                return True
            if not folder:
                return False
            folder = folder.rpartition("/")[0]

    def files(self) -> Sequence[str]:
        return sorted(_walk(self, ""))

    def read(self, name: str) -> bytes:
        self._note_folder(name.rpartition("/")[0])
        data, status = read_with_status(self._prefix + name)
        if self._seen.files is not None:
            self._seen.files.setdefault(name, [status.st_size, status.st_mtime_ns])
        return data

    def read_head(self, name: str, size: int) -> bytes:
        return read_file(self._prefix + name, size)

    def describe(self, name: str) -> str:
        return self._prefix + name

    # Times are noted before anything is read, so that a change meanwhile shows.

    def _note_folder(self, folder: str) -> None:
        if folder not in self._seen.folders:
            self._seen.folders[folder] = _time(self._prefix + folder)

    def take_seen(self) -> Seen:
        """What has been listed and read since this was asked for last."""
        seen, self._seen = self._seen, Seen()
        return seen

    def matches(self, stamp: Any) -> bool:
        """Whether nothing that ``stamp`` noted has changed since; a ``stat`` for each, nothing is listed."""
        try:
            folders, files = stamp["folders"], stamp["files"] or {}
            return all(_time(self._prefix + name) == time for name, time in folders.items()) and all(
                size_and_time(self._prefix + name) == was for name, was in files.items()
            )
        except (OSError, KeyError, TypeError, AttributeError):
            return False

    def stamp(self, seen: Seen) -> dict[str, Any]:
        """What changes when an annotation is edited, or a video or frame is added or removed."""
        return {"folders": seen.folders, "files": seen.files}


class TarTree:
    """The top folder of an uncompressed tar, or of a zip. Nothing is read before it is needed."""

    def __init__(self, tar: Path, name: str, cache_dir: Path | None = None) -> None:
        self.tar, self.name = tar, name
        self._cache_dir = cache_dir
        self._frames: ArchiveFrames | None = None
        self._stamp: dict[str, Any] | None = None

    def __reduce__(self) -> tuple[type[TarTree], tuple[Path, str, Path | None]]:
        return TarTree, (self.tar, self.name, self._cache_dir)

    @property
    def source(self) -> str:
        return str(self.tar.absolute())

    def _opened(self) -> ArchiveFrames:
        if self._frames is None:
            try:
                self._stamp = {"tar": size_and_time(self.tar)}
            except OSError as error:
                raise DataError(f"{self.tar}: cannot read it ({error.strerror})") from error
            self._frames = open_archive(self.tar, self.name, self._cache_dir)
        return self._frames

    def list(self, folder: str = "") -> Listing:
        return list_table(self._opened().table, folder)

    def files(self) -> Sequence[str]:
        return sorted(_walk(self, ""))

    def read(self, name: str) -> bytes:
        return self._opened().read(name)

    def read_head(self, name: str, size: int) -> bytes:
        return self._opened().read_head(name, size)

    def describe(self, name: str) -> str:
        return f"{self.tar}: {self.name}/{name}"

    def take_seen(self) -> Seen:
        return Seen()

    def matches(self, stamp: Any) -> bool:
        try:
            return list(stamp["tar"]) == size_and_time(self.tar)
        except (OSError, KeyError, TypeError):
            return False

    def stamp(self, seen: Seen) -> dict[str, Any]:
        self._opened()
        return self._stamp or {}


def list_table(table: MemberTable, folder: str) -> Listing:
    """What ``Tree.list`` says of a folder, from the table of an archive."""
    folders = [name for name in table.folders_in(folder) if not _is_hidden(name)]
    return Listing(folders, [name for name in table.files_in(folder) if not _is_hidden(name)])


def _walk(tree: DirectoryTree | TarTree, folder: str) -> Iterator[str]:
    prefix = f"{folder}/" if folder else ""
    folders, files = tree.list(folder)
    for name in files:
        yield prefix + name
    for name in folders:
        yield from _walk(tree, prefix + name)


def _status(path: str | Path) -> os.stat_result:
    return os.stat(path)  # noqa: PTH116 (to make a Path of it takes longer than the call)


def _mode(path: str) -> int:
    """What something is, a link being a link; 0 where it has just gone."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _time(folder: str) -> int | None:
    try:
        return _status(folder).st_mtime_ns
    except OSError:
        return None


def size_and_time(file: str | Path) -> list[int]:
    status = _status(file)
    return [status.st_size, status.st_mtime_ns]
