"""Packing a data set as its publisher lays it out into one tar.

``{tar_dir}/{preproc}/{name}.tar``: uncompressed, one top folder ``{name}/``, members sorted, no times and
owners. The same files give the same bytes, so the tar's digest identifies the data.
"""

from __future__ import annotations

import errno
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqtrack.data.formats import MANIFEST, DatasetName, Listing, read_videos
from seqtrack.data.storage import DirectoryTree, listings
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import replacing
from seqtrack.schema import nearest


@dataclass(frozen=True)
class Packed:
    path: Path
    files: int
    size: int
    videos: int


def pack(
    layout: str,
    source: Path,
    name: str,
    destination: Path,
    sequences: Sequence[str] = (),
    overwrite: bool = False,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Packed:
    """Checks the data set and writes the tar, whole or not at all.

    Args:
        source: the publisher's folder, or the folder of a single sequence.
        sequences: names of those to pack; all of them if empty.
        on_progress: called with bytes done and bytes in all.

    Raises:
        UserError: the source is missing, a sequence is unknown, the destination exists or cannot be written.
        DataError: the data are not what the layout says.
    """
    if not source.is_dir():
        raise UserError(f"--source: {source} is not a folder; expected the folder that holds the sequences")
    if destination.exists() and not overwrite:
        raise UserError(f"{destination} exists already; give --overwrite to replace it, or another --name")
    files = _choose(_listed(source), sequences, source)
    selection = _Selection(source, files)
    videos = sum(1 for _ in read_videos(DatasetName(layout, name), selection))
    try:
        sizes = {member: path.stat().st_size for member, path in files.items()}
        total, done = sum(sizes.values()), 0
        with replacing(destination) as temporary, tarfile.open(temporary, "w") as tar:
            for member in sorted(files):
                _add(tar, f"{name}/{member}", files[member], sizes[member])
                done += sizes[member]
                on_progress(done, total)
    except OSError as error:
        cause = "no space left on device" if error.errno == errno.ENOSPC else error.strerror
        raise UserError(f"--tar_dir: cannot write {destination} ({cause}); give another folder") from error
    return Packed(destination, len(files), total, videos)


class _Selection:
    """The tree that the tar will hold, read from where the files lie now."""

    def __init__(self, source: Path, files: Mapping[str, Path]) -> None:
        self.name, self.source = source.resolve().name, str(source)
        self._paths, self._names = files, sorted(files)
        self._folders = listings(self._names)

    def list(self, folder: str = "") -> Listing:
        return self._folders.get(folder, Listing([], []))

    def files(self) -> Sequence[str]:
        return self._names

    def read(self, name: str) -> bytes:
        try:
            return self._paths[name].read_bytes()
        except OSError as error:
            raise DataError(f"{self._paths[name]}: cannot read it ({error.strerror})") from error

    def describe(self, name: str) -> str:
        return str(self._paths.get(name, Path(self.source) / name))


def _listed(source: Path) -> dict[str, Path]:
    """Member name → file. The folder of a single sequence becomes a data set of that one sequence."""
    tree = DirectoryTree(source, source.resolve().name)
    single = any(file.startswith("groundtruth") and "/" not in file for file in tree.files())
    prefix = f"{tree.name}/" if single else ""
    return {prefix + file: source / file for file in tree.files()}


def _choose(files: Mapping[str, Path], sequences: Sequence[str], source: Path) -> dict[str, Path]:
    if not sequences:
        return dict(files)
    # A sequence is a folder with a ground truth; it may lie deeper (LaSOT's <class>/<class>-k).
    there = {member.rpartition("/")[0] for member in files if member.rpartition("/")[2].startswith("groundtruth")}
    for sequence in sequences:
        if sequence not in there:
            raise UserError(f"--sequences: {sequence!r} is not in {source}; {nearest(sequence, sorted(there))}")
    return {
        member: path
        for member, path in files.items()
        if member == MANIFEST or any(member.startswith(f"{sequence}/") for sequence in sequences)
    }


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
