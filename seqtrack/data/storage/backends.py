"""Opening the frames of a data set that was located: which backend serves it, and what is staged first."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seqtrack.data.locations import Locations, Source, own_storage
from seqtrack.data.storage import DirectoryFrames, Frames, open_archive
from seqtrack.data.storage.node_local import gigabytes, node_local_root, shared_memory_root
from seqtrack.data.storage.staging import NoRoom, StagedCopy, stage
from seqtrack.data.storage.tarscan import tar_digest

Say = Callable[[str], object]


@dataclass
class Opened:
    """Frames in use."""

    frames: Frames
    digest: str | None = None
    """``tar_digest`` of the archive that the frames came from; None where a plain folder is read."""
    staged: StagedCopy | None = None
    """The node's copy, held until it is closed."""


def open_frames(source: Source, locations: Locations, on_message: Say = print) -> Opened:
    """Stages what is to be staged, and opens the frames.

    Raises:
        UserError, DataError: as ``stage`` and ``open_archive``.
    """
    cache_dir = locations.cache_dir
    if (own := own_storage(source.name, source.preproc)) is not None:
        pictures = own.pictures(source, cache_dir, locations.storage)
        if pictures.archive is not None:
            return _from_archive(source, pictures.archive, "", locations, on_message)
        if pictures.frames is not None:
            return Opened(pictures.frames)
    if source.kind == "array_record":
        from seqtrack.data.storage.recordset import open_records

        return Opened(frames := open_records(source.path, cache_dir), frames.digest)
    if source.kind == "dir":
        return Opened(DirectoryFrames(source.path), staged_digest(source.path))
    return _from_archive(source, source.path, source.name.folder, locations, on_message)


def _from_archive(source: Source, archive: Path, folder: str, locations: Locations, on_message: Say) -> Opened:
    if source.stage_mode == "none":
        frames = open_archive(archive, folder, locations.cache_dir)
        return Opened(frames, frames.digest)
    staged = _staged(source, archive, folder, locations, on_message)
    try:
        if staged.path.is_dir():
            return Opened(DirectoryFrames(staged.path), staged.digest, staged)
        mapped = open_archive(staged.path, folder, locations.cache_dir, staged.digest, mapped=True)
        return Opened(mapped, staged.digest, staged)
    except BaseException:
        staged.close()
        raise


def _staged(source: Source, archive: Path, folder: str, locations: Locations, on_message: Say) -> StagedCopy:
    name = source.name.folder

    def copy(root: Path, mode: str) -> StagedCopy:
        return stage(
            archive, root, source.preproc, name, mode, on_message, locations.cache_dir, locations.keep, folder
        )

    if source.stage_mode != "memory":
        return copy(node_local_root(locations.tmp_data_dir, os.environ), source.stage_mode)
    memory = shared_memory_root()
    if memory is not None:
        try:
            return copy(memory, "tar")
        except NoRoom:
            why = f"{memory} has less room than the {gigabytes(archive.stat().st_size)} of {archive}"
    else:
        why = "this machine has no shared memory that can be written"
    on_message(f"{name}: --stage_mode=memory: {why}; staging to the disk of this machine instead")
    # Mapped from there it is one copy in memory, too: the page cache's, as far as it fits.
    return copy(node_local_root(locations.tmp_data_dir, os.environ), "tar")


def frames_digest(source: Source, locations: Locations) -> str | None:
    """What ``open_frames`` would report as ``digest``, without staging anything."""
    if (own := own_storage(source.name, source.preproc)) is not None:
        archive = own.pictures(source, locations.cache_dir, locations.storage).archive
        return None if archive is None else tar_digest(archive)
    if source.kind == "array_record":
        from seqtrack.data.storage.recordset import records_digest

        return records_digest(source.path)
    return staged_digest(source.path) if source.kind == "dir" else tar_digest(source.path)


def staged_digest(folder: Path) -> str | None:
    """A copy that an earlier run staged here remembers the digest of its archive."""
    try:
        digest = json.loads((folder / ".complete").read_bytes())["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) else None
