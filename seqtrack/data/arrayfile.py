"""Named arrays in one HDF5 file, read by mapping the file into memory.

Arrays are written contiguous, uncompressed and aligned, so that a reader needs HDF5 only to learn where they
lie and then maps them: opening costs the same at any size, nothing is copied, and processes on one machine
share the pages. Files are never changed in place, only replaced as a whole.
"""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from seqtrack.errors import DataError
from seqtrack.runs.atomic import replacing

# One cache line: a slice of float64 must not straddle what the file before it left over.
_ALIGNMENT = 64
_ROWS_AT_ONCE = 1 << 18
_WRITE_BYTES = 64 << 10
_META = "meta"

Array = NDArray[Any]


def write_arrays(path: Path, arrays: Mapping[str, Sequence[Array]], meta: Mapping[str, Any]) -> None:
    """Writes each array (given as pieces to be joined along the first axis) and ``meta`` (JSON values).

    The same arguments give the same bytes. Appears whole or not at all.
    """
    # Built in memory: on a disk that fills up, HDF5 2.0 (h5py 3.16) ends the process with a segmentation fault.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest", alignment_threshold=1, alignment_interval=_ALIGNMENT) as file:
        file.attrs[_META] = json.dumps(meta, sort_keys=True)
        for name in sorted(arrays):
            pieces = arrays[name]
            rows = sum(len(piece) for piece in pieces)
            shape = (rows, *pieces[0].shape[1:])
            data = file.create_dataset(name, shape, pieces[0].dtype, track_times=False)
            row = 0
            for part in _joined(pieces):
                data[row : row + len(part)] = part
                row += len(part)
    with replacing(path) as temporary, temporary.open("wb") as output:
        whole = buffer.getbuffer()
        # In small pieces: Linux keeps what one call wrote in one large folio, and maps 4 MiB of it at a touch.
        for start in range(0, len(whole), _WRITE_BYTES):
            output.write(whole[start : start + _WRITE_BYTES])


def _joined(pieces: Sequence[Array]) -> Iterator[Array]:
    """The same rows in fewer pieces: a write through HDF5 costs 50 µs however small it is."""
    pending: list[Array] = []
    rows = 0
    for piece in pieces:
        pending.append(piece)
        rows += len(piece)
        if rows >= _ROWS_AT_ONCE:
            yield np.concatenate(pending)
            pending, rows = [], 0
    if rows:
        yield np.concatenate(pending)


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
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


def scalars(array: Array) -> memoryview[int]:
    """An array of integers that is read one at a time: a Python integer in a third of NumPy's time."""
    view: memoryview[int] = memoryview(array)  # type: ignore[arg-type]
    return view


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
