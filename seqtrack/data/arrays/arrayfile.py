"""Named arrays in one HDF5 file, read by mapping the file into memory.

Arrays are written contiguous, uncompressed and aligned, so that a reader needs HDF5 only to learn where they
lie and then maps them: opening costs the same at any size, nothing is copied, and processes on one machine
share the pages. Files are never changed in place, only replaced as a whole.
"""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from seqtrack.data.arrays.columns import AnyColumn, Array, Column, Computed, Pieces, column_of, encode, scalars
from seqtrack.errors import DataError
from seqtrack.runs.atomic import replacing

# One cache line: a slice of float64 must not straddle what the file before it left over.
_ALIGNMENT = 64
_WRITE_BYTES = 64 << 10
_META = "meta"


def write_arrays(path: Path, arrays: Mapping[str, AnyColumn], meta: Mapping[str, Any]) -> None:
    """Writes each array (a column, or pieces to be joined along the first axis) and ``meta`` (JSON values).

    The same arguments give the same bytes. Appears whole or not at all, and takes no memory to speak of.
    """
    columns = {name: column_of(pieces) for name, pieces in arrays.items()}
    header = _Header()
    places: dict[int, Column | Computed | Pieces] = {}
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    early.set_obj_track_times(False)
    with h5py.File(header, "w", libver="latest", alignment_threshold=1, alignment_interval=_ALIGNMENT) as file:
        file.attrs[_META] = json.dumps(meta, sort_keys=True)
        for name in sorted(columns):
            kind, space = h5py.h5t.py_create(columns[name].dtype), h5py.h5s.create_simple(columns[name].shape)
            place = h5py.h5d.create(file.id, name.encode(), kind, space, dcpl=early).get_offset()
            if place is not None:  # an empty array has none
                places[place] = columns[name]
    with replacing(path) as temporary, temporary.open("wb") as output:
        output.truncate(header.size)
        for at, piece in header.pieces.items():
            output.seek(at)
            output.write(piece)
        for at, column in sorted(places.items()):
            output.seek(at)
            for block in column.blocks():
                # In small pieces: Linux keeps what one call wrote in one large folio, and maps 4 MiB at a touch.
                for start in range(0, len(block), _WRITE_BYTES):
                    output.write(block[start : start + _WRITE_BYTES])


class _Header(io.RawIOBase):
    """The file that HDF5 believes to write: arrays are given their places and never written, the rest is little.

    HDF5 must not write to a disk itself: where it fills up, HDF5 2.0 (h5py 3.16) ends the process with a
    segmentation fault.
    """

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        """Offset → what was written there, in order of writing."""
        self.size = 0
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.pieces.pop(self._at, None)
        self.pieces[self._at] = piece
        self._at += len(piece)
        self.size = max(self.size, self._at)
        return len(piece)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        view[:] = bytes(len(view))
        for at, piece in self.pieces.items():
            first, last = max(at, self._at), min(at + len(piece), self._at + len(view))
            if first < last:
                view[first - self._at : last - self._at] = piece[first - at : last - at]
        self._at += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        return self.size


def open_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read-only views of all arrays, and ``meta``.

    The views keep the mapping alive; they may be used after a fork.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: not such a file, or cut short.
    """
    try:
        with h5py.File(path, "r", locking=False) as file, path.open("rb") as raw:
            mapped = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
            meta = json.loads(file.attrs[_META])
            # The low-level objects: h5py's Dataset would triple the time.
            names = list(file)
            arrays = {name: _view(mapped, h5py.h5d.open(file.id, name.encode())) for name in names}
    except FileNotFoundError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); delete it and it is made again") from error
    return arrays, meta


def _view(mapped: mmap.mmap, data: Any) -> Array:
    shape, dtype = data.shape, data.dtype
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:  # an empty data set occupies no place in the file
        return np.zeros(shape, dtype)
    offset = data.get_offset()
    if offset is None or offset + count * dtype.itemsize > len(mapped):
        raise ValueError("an array ends beyond the end of the file")
    return np.frombuffer(mapped, dtype, count, offset).reshape(shape)


def pack_texts(texts: Iterable[str]) -> tuple[Array, Array]:
    """Texts as one array of UTF-8 bytes and (N + 1,) offsets into it."""
    encoded = [encode(text) for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


class Texts:
    """The texts of ``pack_texts``, each decoded when asked for."""

    __slots__ = ("_data", "_offsets")

    def __init__(self, data: Array, offsets: Array) -> None:
        self._data, self._offsets = scalars(data), scalars(offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> str:
        return self.encoded(number).decode("utf-8", "surrogateescape")

    def encoded(self, number: int) -> bytes:
        return bytes(self._data[self._offsets[number] : self._offsets[number + 1]])
