"""Packing a data set as its publisher lays it out into one tar, zip or ArrayRecord folder.

``{tar_dir}/{preproc}/{name}.tar`` (``.zip``): uncompressed, one top folder ``{name}/``, members sorted, no times and
owners. The same files give the same bytes, so the archive's digest identifies the data.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqtrack.data.formats import DatasetName, Listing, find_layout, read_sizes, read_video
from seqtrack.data.formats.marks import read_marks
from seqtrack.data.storage import open_archive, read_file
from seqtrack.data.storage.node_local import remove_tree
from seqtrack.data.storage.trees import DirectoryTree, is_annotation, listings
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import replacing, temporary_beside
from seqtrack.schema import nearest


@dataclass(frozen=True)
class Packed:
    path: Path
    files: int
    size: int
    videos: int


def pack(
    name: DatasetName,
    source: Path,
    destination: Path,
    sequences: Sequence[str] = (),
    overwrite: bool = False,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Packed:
    """Checks the data set and writes the archive, whole or not at all; of which kind, its suffix says.

    What is packed is what the data set consists of: the frames of its videos, and the annotations in every folder
    that was read. So ``got10k_train`` is one part of the publisher's folder, and what else lies about stays out.

    Args:
        source: the publisher's folder, or the folder of a single sequence; or a tar or zip of any version of the data
            set, whose members are packed as they are.
        sequences: names of those to pack; all of them if empty.
        on_progress: called with bytes done and bytes in all.

    Raises:
        UserError: the source is missing, a sequence is unknown, the destination exists or cannot be written.
        DataError: the data are not what the layout says.
    """
    if destination.exists() and not overwrite:
        raise UserError(f"{destination} exists already; give --overwrite to replace it, or another --name")
    if source.is_file() and not sequences:
        return _repack(name, source, destination, on_progress)
    if not source.is_dir():
        raise UserError(f"--source: {source} is not a folder; expected the folder that holds the sequences")
    everything = _Selection(source, _listed(source))
    files, videos = _choose(name, everything, sequences, source)
    try:
        sizes = {member: path.stat().st_size for member, path in files.items()}
        if destination.suffix != ".tar":
            _write(name, destination, sizes, lambda member: read_file(str(files[member])), on_progress)
            return Packed(destination, len(files), sum(sizes.values()), videos)
        total, done = sum(sizes.values()), 0
        with replacing(destination) as temporary, tarfile.open(temporary, "w") as tar:
            for member in sorted(files):
                _add(tar, f"{name.folder}/{member}", files[member], sizes[member])
                done += sizes[member]
                on_progress(done, total)
    except OSError as error:
        raise _unwritable(destination, error) from error
    return Packed(destination, len(files), total, videos)


def _unwritable(destination: Path, error: OSError) -> UserError:
    cause = "no space left on device" if error.errno == errno.ENOSPC else error.strerror
    return UserError(f"--tar_dir: cannot write {destination} ({cause}); give another folder")


def _repack(name: DatasetName, source: Path, destination: Path, on_progress: Callable[[int, int], object]) -> Packed:
    """The members of an archive in one of another kind."""
    if destination.suffix == ".tar":
        raise UserError(f"--source: {source} is packed already; give --format to pack it in another way")
    with contextlib.closing(open_archive(source, name.folder, None)) as frames:
        sizes = {member: (frames.table.find(member) or (0, 0))[1] for member in frames.table.names()}
        try:
            _write(name, destination, sizes, frames.read, on_progress)
        except OSError as error:
            raise _unwritable(destination, error) from error
    return Packed(destination, len(sizes), sum(sizes.values()), 0)


def _write(
    name: DatasetName,
    destination: Path,
    sizes: Mapping[str, int],
    read: Callable[[str], bytes],
    on_progress: Callable[[int, int], object],
) -> None:
    """A zip, or a folder of ArrayRecord shards, with these members."""
    total, done = sum(sizes.values()), 0

    def on_bytes(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    if destination.suffix == ".zip":
        with replacing(destination) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for member in sorted(sizes):
                data = read(member)
                archive.writestr(zipfile.ZipInfo(f"{name.folder}/{member}"), data)
                on_bytes(len(data))
        return
    from seqtrack.data.storage.recordset import write_records

    temporary = temporary_beside(destination)
    try:
        temporary.mkdir(parents=True)
        write_records(temporary, name.folder.lower(), sorted(sizes), read, on_bytes)
        remove_tree(destination)
        os.rename(temporary, destination)
    finally:
        remove_tree(temporary)


class _Selection:
    """Some files below a folder as a tree, which remembers what was read of it."""

    def __init__(self, source: Path, files: Mapping[str, Path]) -> None:
        self.name, self.source = source.resolve().name, str(source)
        self.paths, self._names, self._folders = files, sorted(files), listings(files)
        self.touched: set[str] = set()

    def list(self, folder: str = "") -> Listing:
        return self._folders.get(folder, Listing([], []))

    def files(self) -> Sequence[str]:
        return self._names

    def read(self, name: str) -> bytes:
        self.touched.add(name)
        try:
            return self.paths[name].read_bytes()
        except KeyError:
            raise DataError(f"{self.describe(name)}: there is no such file") from None
        except OSError as error:
            raise DataError(f"{self.paths[name]}: cannot read it ({error.strerror})") from error

    def read_head(self, name: str, size: int) -> bytes:
        return self.read(name)[:size]

    def describe(self, name: str) -> str:
        return str(self.paths.get(name, Path(self.source) / name))


def _listed(source: Path) -> dict[str, Path]:
    """Member name → file. The folder of a single sequence becomes a data set of that one sequence."""
    tree = DirectoryTree(source, source.resolve().name)
    single = any(file.startswith("groundtruth") for file in tree.list().files)
    prefix = f"{tree.name}/" if single else ""
    return {prefix + file: source / file for file in tree.files()}


def _choose(
    name: DatasetName, tree: _Selection, sequences: Sequence[str], source: Path
) -> tuple[dict[str, Path], int]:
    """The files of the data set, or of these sequences of it, and how many videos they hold."""
    layout, sizes = find_layout(name.layout), read_sizes(tree)
    entries = list(layout.find(tree, name.part))
    lists, names = set(tree.touched), set()
    chosen: set[str] = set()
    wanted = dict.fromkeys(sequences, False)
    count = 0
    for entry in entries:
        tree.touched = set()
        video = read_video(layout, tree, entry, sizes)
        names.add(video.name)
        called = {video.name, video.name.rpartition("/")[2]} & wanted.keys()
        if called or not wanted:
            wanted.update(dict.fromkeys(called, True))
            for track in video.tracks:
                read_marks(name.layout, name.part, tree, video.name, track.name, track.frames)
            chosen |= _folders_of_annotations(tree) | set(video.frame_names)
            count += 1
    if not entries:
        raise DataError(f"{source}: no sequence in the {name.layout} layout here; expected {layout.EXPECTED}")
    for sequence, found in wanted.items():
        if not found:
            raise UserError(f"--sequences: {sequence!r} is not in {source}; {nearest(sequence, sorted(names))}")
    # A list of sequences would name those left out; one file with the annotations of all is needed whole.
    chosen |= {file for file in lists if not (wanted and file.endswith(".txt"))}
    files = {member: tree.paths[member] for member in chosen}
    if wanted:
        _check_alone(name, files, count, source)
    return files, count


def _folders_of_annotations(tree: _Selection) -> set[str]:
    """What was read of a video, and the annotations beside it that other uses read (attributes, texts)."""
    folders = {file.rpartition("/")[0] for file in tree.touched if is_annotation(file)}
    beside = {f"{folder}/{file}" for folder in folders if folder for file in tree.list(folder).files}
    return tree.touched | {file for file in beside if is_annotation(file)}


def _check_alone(name: DatasetName, files: Mapping[str, Path], videos: int, source: Path) -> None:
    layout, part = find_layout(name.layout), _Selection(source, files)
    try:
        found = sum(layout.read(part, entry, None) is not None for entry in layout.find(part, name.part))
    except DataError:
        found = 0
    if found != videos:
        raise UserError(
            f"--sequences: the {name.layout} layout keeps the annotations of all sequences together; pack all of it,"
            f" and train from {name}@FILE with a list of sequences"
        )


def _add(tar: tarfile.TarFile, member: str, path: Path, size: int) -> None:
    info = tarfile.TarInfo(member)
    info.size, info.mode, info.mtime, info.uid, info.gid = size, 0o644, 0, 0, 0
    try:
        with path.open("rb") as file:
            tar.addfile(info, file)
            if file.read(1):
                raise DataError(f"{path}: it grew while it was packed; pack again")
    except OSError as error:
        if error.errno is None:  # tarfile: fewer bytes than announced
            raise DataError(f"{path}: it became shorter while it was packed; pack again") from error
        raise
