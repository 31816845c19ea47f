"""Where the bytes of frames come from: a folder, or an uncompressed tar read in place.

``…Frames`` reads frames again and again while training: they hold no file position and no lock, so they may be
used from many processes after a fork, and they survive pickling for spawn by opening again. A tar needs a table
of where its members lie; it is made once per tar and kept in the cache of indexes.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seqtrack.data.arrayfile import Array, Texts, open_arrays, pack_texts, scalars, write_arrays
from seqtrack.data.tarscan import Members, scan_tar, tar_digest
from seqtrack.errors import DataError, UserError

_TABLE_SCHEMA = 1


class Frames(Protocol):
    """Bytes of an encoded frame by its name in the index."""

    def read(self, name: str) -> bytes:
        """Raises DataError that names the file when it is not there or cannot be read."""

    def describe(self, name: str) -> str: ...

    def close(self) -> None: ...


def read_file(path: str) -> bytes:
    """The whole of a plain file. DataError that names it when it is none, or cannot be read."""
    # Half the time of open(…).read(), which builds a buffered reader first.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path}: not a file")
            data = os.read(descriptor, status.st_size)
            while len(data) < status.st_size:  # one read returns at most 2 GiB, and less on some network disks
                more = os.read(descriptor, status.st_size - len(data))
                if not more:
                    raise DataError(f"{path}: it became shorter while it was read")
                data += more
            return data
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror}); is the data set complete?") from error


class DirectoryFrames:
    """Frames as files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"

    def read(self, name: str) -> bytes:
        return read_file(self._prefix + name)

    def describe(self, name: str) -> str:
        return self._prefix + name

    def close(self) -> None:
        """There is nothing to close."""


class TarTable:
    """Name → (offset, size) for the members of one tar, in arrays that processes share.

    Members are sorted by the CRC-32 of their name; ``starts`` gives, for the upper bits of a hash, where its entries
    begin. So nothing is built when a table of millions of names is opened, and a look-up costs about a microsecond.
    """

    def __init__(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        self._names = Texts(arrays["names"], arrays["name_offsets"])
        self._hashes, self._starts = scalars(arrays["hashes"]), scalars(arrays["starts"])
        self._offsets, self._sizes = scalars(arrays["offsets"]), scalars(arrays["sizes"])
        self._shift = 32 - int(meta["bits"])
        self.tar_size = int(meta["tar_size"])

    def find(self, name: str) -> tuple[int, int] | None:
        encoded = name.encode("utf-8", "surrogateescape")
        wanted = zlib.crc32(encoded)
        bucket = wanted >> self._shift
        for row in range(self._starts[bucket], self._starts[bucket + 1]):
            if self._hashes[row] == wanted and self._names.encoded(row) == encoded:
                return self._offsets[row], self._sizes[row]
        return None

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted(self._names[row] for row in range(len(self._names)))


def table_arrays(members: Members) -> tuple[dict[str, Array], dict[str, Any]]:
    """What ``TarTable`` is made of. Links become entries of their own that mean the same bytes."""
    places = dict(zip(members.names, zip(members.offsets, members.sizes, strict=True), strict=True))
    for name, target in members.links.items():
        while target in members.links and target not in places and target != name:
            target = members.links[target]
        if target in places:
            places.setdefault(name, places[target])
    encoded = [name.encode("utf-8", "surrogateescape") for name in places]
    hashes = np.fromiter((zlib.crc32(name) for name in encoded), dtype=np.uint32, count=len(encoded))
    # Equal hashes are ordered by name, so that the table does not depend on the order of members.
    order = sorted(range(len(encoded)), key=lambda row: (hashes[row], encoded[row]))
    names = list(places)
    data, offsets = pack_texts(names[row] for row in order)
    ordered = hashes[order]
    bits = max(1, len(encoded).bit_length())
    buckets = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 - bits)
    place = np.array(list(places.values()), dtype=np.int64).reshape(-1, 2)[order]
    arrays = {
        "names": data,
        "name_offsets": offsets,
        "hashes": ordered,
        "starts": np.searchsorted(ordered.astype(np.uint64), buckets).astype(np.int64),
        "offsets": np.ascontiguousarray(place[:, 0]),
        "sizes": np.ascontiguousarray(place[:, 1]),
    }
    return arrays, {"schema": _TABLE_SCHEMA, "bits": bits, "tar_size": members.size}


class TarFrames:
    """Frames inside an uncompressed tar, at their offset: by ``pread``, or from a mapping of the tar.

    A mapping takes half the time, but a tar that becomes shorter, or a disk that fails, kills the process where
    ``pread`` gives an error. So only a staged copy, which is ours and locked, is mapped.
    """

    def __init__(
        self, tar: Path, folder: str, table: TarTable, digest: str, table_file: Path | None, mapped: bool
    ) -> None:
        self.tar, self.folder, self.table, self.digest = tar, folder, table, digest
        self._table_file = table_file
        # pread takes the offset as an argument: forked processes can share the descriptor.
        self._descriptor = os.open(tar, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self._map = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ) if mapped else None

    def __reduce__(self) -> tuple[Callable[..., TarFrames], tuple[Any, ...]]:
        return _reopen, (self.tar, self.folder, self.digest, self._table_file, self._map is not None)

    def read(self, name: str) -> bytes:
        place = self.table.find(name)
        if place is None:
            raise DataError(f"{self.describe(name)}: no such member; is the tar complete?")
        offset, size = place
        if self._map is not None:
            return self._map[offset : offset + size]
        try:
            data = os.pread(self._descriptor, size, offset)
            while len(data) < size:
                more = os.pread(self._descriptor, size - len(data), offset + len(data))
                if not more:
                    raise DataError(f"{self.describe(name)}: the tar became shorter while in use")
                data += more
        except OSError as error:
            raise DataError(f"{self.describe(name)}: cannot read it ({error.strerror})") from error
        return data

    def describe(self, name: str) -> str:
        return f"{self.tar}: {self.folder}/{name}"

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


def table_path(cache_dir: Path, folder: str, digest: str) -> Path:
    return cache_dir / f"{folder}.tar-{digest[:16]}.h5"


def open_tar_frames(
    tar: Path,
    folder: str,
    cache_dir: Path | None,
    digest: str | None = None,
    shown: Path | None = None,
    mapped: bool = False,
) -> TarFrames:
    """Opens a tar for reading in place, with its table from ``cache_dir`` or made now (and kept there if possible).

    Args:
        digest: its ``tar_digest``, where that is known already.
        shown: the path that messages name, where ``tar`` is a temporary copy of it.
        mapped: the tar is a copy of our own that nobody changes: map it into memory (``TarFrames``).

    Raises:
        DataError: the tar is missing, compressed, truncated, or holds what it must not (``scan_tar``).
    """
    try:
        size = tar.stat().st_size
        digest = digest or tar_digest(tar)
    except OSError as error:
        raise DataError(f"{shown or tar}: cannot read it ({error.strerror})") from error
    path = table_path(cache_dir, folder, digest) if cache_dir is not None else None
    table = _known_table(path, size) if path is not None else None
    if table is None:
        arrays, meta = table_arrays(scan_tar(tar, folder, shown=shown))
        table = TarTable(arrays, meta)
        if path is not None:
            try:
                write_arrays(path, {name: [array] for name, array in arrays.items()}, meta)
            except (OSError, UserError):
                path = None  # a read-only cache costs a scan per process, nothing else
    return TarFrames(tar, folder, table, digest, path, mapped)


def _reopen(tar: Path, folder: str, digest: str, table_file: Path | None, mapped: bool) -> TarFrames:
    return open_tar_frames(tar, folder, table_file.parent if table_file else None, digest, mapped=mapped)


def _known_table(path: Path, tar_size: int) -> TarTable | None:
    try:
        arrays, meta = open_arrays(path)
        if meta.get("schema") != _TABLE_SCHEMA or meta.get("tar_size") != tar_size:
            return None
        return TarTable(arrays, meta)
    except (FileNotFoundError, DataError, KeyError, json.JSONDecodeError):
        return None
