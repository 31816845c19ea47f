"""Copies of tars and zips on the node that needs them: extracted, or copied and read in place.

Below a root on the node (``node_local_root``, or ``shared_memory_root``), per version and data set:

    original/otb_50/              the extracted copy; ``.complete`` inside says which tar it came from
    original/otb_50.tar           the copied tar, or ``.zip``; ``.otb_50.tar.complete`` beside it
    original/.otb_50.use.lock     users hold a shared flock while they read the copy: then it is not evicted
    original/.otb_50.stage.lock   held by the one job that makes the copy; the others wait and share it
    original/.tmp-otb_50-…        an unfinished copy, removed by the next job that finds it abandoned

A lock ends with its process, so a job that was killed leaves nothing held. The lock of the copying job is
inherited by its ``tar``: if the job is killed, nobody takes over until that ``tar`` has stopped writing too.

In shared memory the same files are the memory: every process of every trial maps the one copy. They are removed like
other copies, by the last user (``--no-tmp_keep``) or when space is short.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqtrack.data.storage import open_archive
from seqtrack.data.storage.archive import scan_archive
from seqtrack.data.storage.node_local import free_bytes, gigabytes, remove_tree
from seqtrack.data.storage.tarscan import tar_digest
from seqtrack.data.storage.transfer import copy, extract, extract_members, progress
from seqtrack.data.storage.zipscan import is_zip
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import TEMPORARY_PREFIX, destination_name, temporary_beside, write_json

Say = Callable[[str], object]

ARCHIVES = (".tar", ".zip")

_BOOT_TOLERANCE_SECONDS = 60.0  # the boot time is computed from the clock, which is set now and then


class NoRoom(UserError):
    """The node has less space than a copy needs."""


class StagedCopy:
    """A copy in use. ``path`` is the data set's folder or archive; nobody evicts it until ``close``."""

    def __init__(self, place: _Place, digest: str, lock: int, keep: bool) -> None:
        self.path = place.copy
        self.digest = digest
        """``tar_digest`` of the tar that the copy was made from."""
        self._place, self._keep = place, keep
        self._lock, self._owner = lock, os.getpid()

    def close(self) -> None:
        """Ends this use, and removes the copy if it is not to be kept and nobody else uses it.

        In a forked child it leaves the parent's use alone.
        """
        if self._lock >= 0:
            if os.getpid() == self._owner:
                # Forked children share the lock; closing alone would leave it to the last of them.
                fcntl.flock(self._lock, fcntl.LOCK_UN)
                if not self._keep:
                    _evict(self._place)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> StagedCopy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class _Archive:
    """The tar or zip on the shared disk; its digest is computed only where size and time do not settle the matter."""

    path: Path
    folder: str
    """Its top folder."""
    size: int
    mtime_ns: int
    _digest: str = field(default="", repr=False)

    @classmethod
    def of(cls, path: Path, folder: str) -> _Archive:
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot read it ({error.strerror})") from error
        return cls(path, folder, status.st_size, status.st_mtime_ns)

    def digest(self) -> str:
        if not self._digest:
            self._digest = tar_digest(self.path)
        return self._digest


@dataclass(frozen=True)
class _Place:
    """Where one copy and what belongs to it lie."""

    folder: Path
    name: str
    """``otb_50``, ``otb_50.tar`` or ``otb_50.zip``."""

    @property
    def whole(self) -> bool:
        """Whether the copy is the archive itself."""
        return self.name.endswith(ARCHIVES)

    @property
    def copy(self) -> Path:
        return self.folder / self.name

    @property
    def marker(self) -> Path:
        return self.folder / f".{self.name}.complete" if self.whole else self.copy / ".complete"

    @property
    def use_lock(self) -> Path:
        return self.folder / f".{self.name}.use.lock"

    @property
    def stage_lock(self) -> Path:
        return self.folder / f".{self.name}.stage.lock"

    def leftovers(self) -> list[Path]:
        return list(self.folder.glob(f"{TEMPORARY_PREFIX}{self.name}-*"))

    def read_marker(self) -> dict[str, Any] | None:
        try:
            marker = json.loads(self.marker.read_bytes())
        except (OSError, ValueError):
            return None
        return marker if isinstance(marker, dict) and self.copy.exists() else None

    def remove(self) -> None:
        """Under its exclusive lock. Renamed first: half a copy under the right name must never be seen."""
        doomed = temporary_beside(self.copy)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.copy, doomed)
        if self.whole:
            self.marker.unlink(missing_ok=True)
        remove_tree(doomed)


def stage(
    archive: Path,
    root: Path,
    preproc: str,
    name: str,
    mode: str,
    on_message: Say = print,
    cache_dir: Path | None = None,
    keep: bool = True,
    folder: str | None = None,
) -> StagedCopy:
    """The node's copy of an archive, made now unless a fresh one is there.

    Args:
        root: node-local folder (``node_local_root``); the copy is ``{root}/{preproc}/{name}`` (``.tar``, ``.zip``).
        mode: ``untar`` or ``tar``.
        cache_dir: where the table of a tar's members is kept (``tar`` mode).
        keep: leave the copy for the next job; otherwise whoever uses it last removes it.
        folder: the archive's top folder, if it is not called ``name`` (``open_archive``).

    Raises:
        DataError: the archive is missing, truncated, or holds what would escape its folder; nothing is written
        then. NoRoom: not enough space. UserError: a folder that cannot be used, or an outdated copy still in use.
    """
    source = _Archive.of(archive, name if folder is None else folder)
    place = _Place(root / preproc, name if mode == "untar" else name + (".zip" if is_zip(archive) else ".tar"))
    with _naming_the_folder(place, None):
        place.folder.mkdir(parents=True, exist_ok=True)
        use = _open_lock(place.use_lock)
    try:
        fcntl.flock(use, fcntl.LOCK_SH)
        digest = _fresh(place, source)
        if digest is None:
            fcntl.flock(use, fcntl.LOCK_UN)
            with _staging(place, on_message) as lock:
                fcntl.flock(use, fcntl.LOCK_SH)
                digest = _fresh(place, source)  # whoever we waited for may have made it
                if digest is None:
                    _make_way(place, source, use)
                    started = time.monotonic()
                    digest = _make(place, source, name, lock, on_message, cache_dir)
                    on_message(f"{name}: staged to {place.copy} in {time.monotonic() - started:.1f} s")
        with contextlib.suppress(OSError):
            os.utime(place.marker)  # the time of last use, by which copies are evicted
    except BaseException:
        os.close(use)
        raise
    return StagedCopy(place, digest, use, keep)


def _fresh(place: _Place, source: _Archive) -> str | None:
    """The digest of the tar if the copy there is complete and came from it."""
    marker = place.read_marker()
    if marker is None or marker.get("size") != source.size or not isinstance(marker.get("digest"), str):
        return None
    if marker.get("mtime_ns") != source.mtime_ns and marker["digest"] != source.digest():
        return None
    boot_time = _boot_time()
    if abs(float(marker.get("boot_time", 0)) - boot_time) > _BOOT_TOLERANCE_SECONDS:
        # The node has been restarted, perhaps before everything had reached its disk.
        if not _all_there(place, source):
            return None
        with contextlib.suppress(OSError):
            write_json(place.marker, marker | {"boot_time": boot_time})
    digest: str = marker["digest"]
    return digest


def _boot_time() -> float:
    import psutil  # costs 15 ms that --help and --dry_run need not pay

    return float(psutil.boot_time())


def _all_there(place: _Place, source: _Archive) -> bool:
    if place.whole:
        return place.copy.stat().st_size == source.size and tar_digest(place.copy) == source.digest()
    members = scan_archive(source.path, source.folder)
    last = {name: length if length >= 0 else size for name, _, size, length in members}
    try:
        return all((place.copy / file).stat().st_size == size for file, size in last.items())
    except OSError:
        return False


def _make_way(place: _Place, source: _Archive, use: int) -> None:
    """Removes abandoned unfinished copies, and an outdated copy unless it is in use."""
    for leftover in place.leftovers():
        remove_tree(leftover)
    if not os.path.lexists(place.copy):
        return
    if not place.marker.exists():
        raise UserError(
            f"--tmp_data_dir: {place.copy} is there but was not staged by seqtrack (no {place.marker.name});"
            " move it away, or give another folder"
        )
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(
            f"--tmp_data_dir: {place.copy} comes from an older {source.path} and is in use"
            " by another process; wait for it to end, or give another folder"
        ) from error
    place.remove()
    fcntl.flock(use, fcntl.LOCK_SH)


def _make(place: _Place, source: _Archive, name: str, lock: int, on_message: Say, cache_dir: Path | None) -> str:
    """Makes the copy beside its place, checks it, and renames it."""
    if place.whole:
        needed, what = source.size, gigabytes(source.size)
    else:
        members = scan_archive(source.path, source.folder, prefetch=True)
        needed = members.space()
        what = f"{len(members):,} files, {gigabytes(sum(members.file_sizes()))}"
    digest = source.digest()
    _make_room(place, source.path, needed, on_message)
    on_message(f"{name}: staging {source.path} ({what}) to {place.copy}")
    marker = {
        "tar": str(source.path.absolute()), "size": source.size, "mtime_ns": source.mtime_ns,
        "digest": digest, "boot_time": _boot_time(),
    }  # fmt: skip
    temporary = temporary_beside(place.copy)
    on_bytes = progress(name, source.size, on_message)
    try:
        with _naming_the_folder(place, needed):
            if place.whole:
                copy(source.path, temporary, on_bytes)
                open_archive(temporary, source.folder, cache_dir, digest, shown=source.path).close()
                write_json(place.marker, marker)  # first: a tar without marker is not ours to remove
                os.rename(temporary, place.copy)
            else:
                temporary.mkdir()
                if is_zip(source.path):
                    with contextlib.closing(open_archive(source.path, name, cache_dir, digest)) as frames:
                        extract_members(frames, temporary / name, on_bytes)
                else:
                    extract(source.path, temporary, lock, on_bytes)
                write_json(temporary / name / ".complete", marker)
                os.rename(temporary / name, place.copy)
    finally:
        remove_tree(temporary)
    return digest


def copies(root: Path) -> list[Path]:
    """Every finished copy below a root, the one that was used longest ago first."""
    return [place.copy for place in sorted(_places(root), key=_last_use)]


def evict(copy: Path) -> bool:
    """Removes one of ``copies``; False if somebody uses it."""
    return _evict(_Place(copy.parent, copy.name))


def _places(root: Path) -> list[_Place]:
    found = [_Place(marker.parent.parent, marker.parent.name) for marker in root.glob("*/*/.complete")]
    return found + [
        _Place(marker.parent, marker.name.removeprefix(".").removesuffix(".complete"))
        for kind in ARCHIVES
        for marker in root.glob(f"*/.*{kind}.complete")
    ]


def _make_room(place: _Place, tar: Path, needed: int, on_message: Say) -> None:
    """Evicts unused copies, the one that was used longest ago first, until ``needed`` bytes are free."""
    root = place.folder.parent
    if free_bytes(place.folder) >= needed:
        return
    for leftover in root.glob(f"*/{TEMPORARY_PREFIX}*"):
        _remove_abandoned(leftover)
    for other in sorted(_places(root), key=_last_use):
        if free_bytes(place.folder) >= needed:
            return
        if other != place and _evict(other):
            on_message(f"evicted the unused copy {other.copy} to make room")
    if free_bytes(place.folder) < needed:
        raise NoRoom(
            f"--tmp_data_dir: {place.folder} has {gigabytes(free_bytes(place.folder))} free and the copy of {tar}"
            f" needs {gigabytes(needed)}; make room, or give another folder"
        )


def _remove_abandoned(leftover: Path) -> None:
    """Removes an unfinished copy of whatever data set, if nobody works on it."""
    name = destination_name(leftover)
    place = _Place(leftover.parent, name)
    if not place.stage_lock.exists():
        return  # not one of ours
    lock = _open_lock(place.stage_lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(leftover)
    except OSError:
        return  # its maker is at work
    finally:
        os.close(lock)


def _last_use(place: _Place) -> int:
    try:
        return place.marker.stat().st_mtime_ns
    except OSError:
        return 0


def _evict(place: _Place) -> bool:
    lock = _open_lock(place.use_lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if "digest" not in (place.read_marker() or {}):
            return False
        place.remove()
        return True
    except OSError:
        return False  # in use, or not removable: leave it
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)


@contextlib.contextmanager
def _staging(place: _Place, on_message: Say) -> Iterator[int]:
    """Holds the lock of the one job that makes this copy; yields its descriptor."""
    with _naming_the_folder(place, None):
        lock = _open_lock(place.stage_lock)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 100, 0).decode(errors="replace") or "another process"
            on_message(f"{place.name}: waiting for {holder}, which stages it to {place.copy}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}".encode(), 0)
        yield lock
    finally:
        os.close(lock)


@contextlib.contextmanager
def _naming_the_folder(place: _Place, needed: int | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = gigabytes(free_bytes(place.folder))
            wants = f" (the copy needs {gigabytes(needed)}, {free} are free)" if needed else ""
            raise NoRoom(
                f"--tmp_data_dir: {place.folder} is full{wants}; make room, or give another folder"
            ) from error
        raise UserError(
            f"--tmp_data_dir: cannot write to {place.folder} ({error.strerror}); give a writable one"
        ) from error
