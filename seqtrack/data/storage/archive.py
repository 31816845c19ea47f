"""Frames inside an archive, read in place: an uncompressed tar, or a zip whose members are stored."""

from __future__ import annotations

import contextlib
import mmap
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqtrack.data.arrays.arrayfile import write_arrays
from seqtrack.data.arrays.columns import Spool, column_of
from seqtrack.data.storage.members import Members
from seqtrack.data.storage.table import MemberTable, known_table, table_arrays, table_columns, table_path
from seqtrack.data.storage.tarscan import scan_tar, tar_digest
from seqtrack.data.storage.zipscan import is_zip, scan_zip
from seqtrack.errors import DataError, UserError

# A mapping leaves a page table of 4 kB in each process for each 2 MB of the archive that were read from: 80 MB for a
# GB of frames of 50 kB at random places, up to 2 GB for TrackingNet. To let go of so many takes 16 ms.
_TABLE_REACH = 2 << 20
_MOST_TABLES = 1 << 13


class ArchiveFrames:
    """Frames inside a tar or zip, at their offset: by ``pread``, or from a mapping of the archive.

    A mapping takes half the time, but an archive that becomes shorter, or a disk that fails, kills the process where
    ``pread`` gives an error. So only a staged copy, which is ours and locked, is mapped. Members of a zip that are
    deflated (some people's zips are) are inflated, which costs what inflating costs.
    """

    def __init__(
        self, archive: Path, folder: str, table: MemberTable, digest: str, table_file: Path | None, mapped: bool
    ) -> None:
        self.archive, self.folder, self.table, self.digest = archive, folder, table, digest
        self._table_file = table_file
        # pread takes the offset as an argument: forked processes can share the descriptor.
        self._descriptor = os.open(archive, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._map = self._mapping() if mapped else None
        self._is_large = os.fstat(self._descriptor).st_size > _MOST_TABLES * _TABLE_REACH
        self._tables = 0

    def __reduce__(self) -> tuple[Callable[..., ArchiveFrames], tuple[Any, ...]]:
        return _reopen, (self.archive, self.folder, self.digest, self._table_file, self._map is not None)

    def read_head(self, name: str, size: int) -> bytes:
        """The first ``size`` bytes, or all there are."""
        return self.read(name)[:size] if self.table.compressed else self.read(name, size)

    def read(self, name: str, limit: int | None = None) -> bytes:
        """``limit``: no more than so many bytes of what the archive holds."""
        place = self.table.find(name)
        if place is None:
            raise DataError(f"{self.describe(name)}: no such member; is the archive complete?")
        offset, size = place if limit is None else (place[0], min(place[1], limit))
        if self._map is not None:
            data = self._map[offset : offset + size]
            if self._is_large:
                self._count_tables(1 + size // _TABLE_REACH)
        else:
            try:
                data = os.pread(self._descriptor, size, offset)
                while len(data) < size:
                    more = os.pread(self._descriptor, size - len(data), offset + len(data))
                    if not more:
                        raise DataError(f"{self.describe(name)}: the archive became shorter while in use")
                    data += more
            except OSError as error:
                raise DataError(f"{self.describe(name)}: cannot read it ({error.strerror})") from error
        return self._inflated(name, data) if self.table.compressed else data

    def _count_tables(self, count: int) -> None:
        self._tables += count
        if self._tables > _MOST_TABLES:
            self._tables = 0
            with contextlib.suppress(OSError):  # no room for two of them (ulimit -v)
                self._map = self._mapping()  # whoever reads from the old one keeps that

    def _mapping(self) -> mmap.mmap:
        return mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)

    def _inflated(self, name: str, data: bytes) -> bytes:
        length = self.table.length(name)
        if length < 0:
            return data
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # Never more than the directory has announced, whatever the stream goes on to.
            inflated = stream.decompress(data, length + 1)
        except zlib.error as error:
            raise DataError(f"{self.describe(name)}: it does not inflate ({error}); copy or pack it again") from error
        if len(inflated) != length:
            raise DataError(
                f"{self.describe(name)}: inflates to another length than {length} bytes; copy or pack it again"
            )
        return inflated

    def describe(self, name: str) -> str:
        return f"{self.archive}: {self.folder}/{name}" if self.folder else f"{self.archive}: {name}"

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()


def scan_archive(
    archive: Path, folder: str, *, shown: Path | None = None, prefetch: bool = False, spool: Spool | None = None
) -> Members:
    """``scan_tar`` or ``scan_zip``, as the file's name or first bytes say."""
    scan = scan_zip if is_zip(archive) else scan_tar
    return scan(archive, folder, shown=shown, prefetch=prefetch, spool=spool)


def open_archive(
    archive: Path,
    folder: str,
    cache_dir: Path | None,
    digest: str | None = None,
    shown: Path | None = None,
    mapped: bool = False,
) -> ArchiveFrames:
    """Opens a tar or zip for reading in place, with its table from ``cache_dir`` or made now (and kept if possible).

    Args:
        folder: the one top-level folder that it must hold; '' for a zip whose members are the frames themselves.
        digest: its ``tar_digest``, where that is known already.
        shown: the path that messages name, where ``archive`` is a temporary copy of it.
        mapped: the archive is a copy of our own that nobody changes: map it into memory (``ArchiveFrames``).

    Raises:
        DataError: it is missing, compressed, truncated, or holds what it must not (``scan_tar``, ``scan_zip``).
    """
    try:
        size = archive.stat().st_size
        digest = digest or tar_digest(archive)
    except OSError as error:
        raise DataError(f"{shown or archive}: cannot read it ({error.strerror})") from error
    path = table_path(cache_dir, folder or archive.stem, digest) if cache_dir is not None else None
    table = known_table(path, size) if path is not None else None
    if table is None:
        table, path = _made_table(archive, folder, path, size, shown)
    return ArchiveFrames(archive, folder, table, digest, path, mapped)


def _made_table(
    archive: Path, folder: str, path: Path | None, size: int, shown: Path | None
) -> tuple[MemberTable, Path | None]:
    """A new table, and where it is kept. Mapped from there, it takes no memory that the system cannot take back."""
    if path is None:
        return MemberTable(*table_arrays(scan_archive(archive, folder, shown=shown))), None
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Spool(path.parent)) as spool:
        columns, meta = table_columns(scan_archive(archive, folder, shown=shown, spool=spool), spool)
        with contextlib.suppress(OSError, UserError):
            write_arrays(path, columns, meta)
            if (table := known_table(path, size)) is not None:
                return table, path
        # A cache that cannot be written costs a scan per process, nothing else.
        return MemberTable({name: column_of(column).array() for name, column in columns.items()}, meta), None


def _reopen(archive: Path, folder: str, digest: str, table_file: Path | None, mapped: bool) -> ArchiveFrames:
    return open_archive(archive, folder, table_file.parent if table_file else None, digest, mapped=mapped)
