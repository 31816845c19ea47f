"""Arrays that grow row by row while their size is not known yet, spooled to disk so that they take no memory."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SPOOL_BYTES = 256 << 10
_SINGLE_NUMBERS = 1024


def scalars(array: Array) -> memoryview[int]:
    """An array of integers that is read one at a time: a Python integer in a third of NumPy's time."""
    view: memoryview[int] = memoryview(array)  # type: ignore[arg-type]
    return view


def encode(text: str) -> bytes:
    """UTF-8; bytes of file names that are none survive."""
    return text.encode("utf-8", "surrogateescape")


class Spool:
    """An anonymous temporary file for columns that grow together; gone when it is closed, or its process is."""

    def __init__(self, folder: Path | None) -> None:
        """``folder``: where there is room; the system's folder for temporary files if nothing can be made there."""
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0

    def append(self, data: bytes) -> int:
        """Keeps the bytes; returns where."""
        if self._file is None:
            self._file = _anonymous_file(self._folder)
        self._file.seek(self._end)
        place, rest = self._end, memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._end += len(data)
        return place

    def read(self, place: int, size: int) -> bytes:
        if self._file is None:
            raise ValueError("nothing has been kept")
        self._file.seek(place)
        return self._file.read(size)

    def scratch(self, count: int, dtype: Any) -> Array:
        """An empty array in a file of its own, which the system can take out of memory; in memory if there is no
        room for that. It is gone with whoever uses it."""
        size = count * np.dtype(dtype).itemsize
        if size and hasattr(os, "posix_fallocate"):
            with contextlib.suppress(OSError), _anonymous_file(self._folder) as file:
                # Without room of its own, a full disk would kill whoever writes to the mapping.
                os.posix_fallocate(file.fileno(), 0, size)
                return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)
        return np.empty(count, dtype)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _anonymous_file(folder: Path | None) -> IO[bytes]:
    with contextlib.suppress(OSError):
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    return tempfile.TemporaryFile(buffering=0)


class Column:
    """An array that grows row by row; what is more than a block of it lies in the spool."""

    def __init__(self, dtype: Any, width: int = 0, spool: Spool | None = None) -> None:
        """``width``: numbers in a row; 0: a row is one number. Without a spool all of it stays in memory."""
        self.dtype = np.dtype(dtype)
        self._tail = (width,) if width else ()
        self._row_bytes = self.dtype.itemsize * (width or 1)
        self._spool = spool
        self._full = spool is None
        self._blocks: list[tuple[int, int]] = []
        self._single: list[float] = []
        self._pending = bytearray()
        self._bytes = 0

    def add(self, *row: float) -> None:
        """One row, in a tenth of the time that an array for it would take."""
        self._single += row
        if len(self._single) >= _SINGLE_NUMBERS:
            self._join_single()

    def _join_single(self) -> None:
        if self._single:
            rows, self._single = self._single, []
            self.append(rows)

    def append(self, rows: Any) -> None:
        self.append_bytes(np.asarray(rows, self.dtype).tobytes())

    def append_bytes(self, data: bytes) -> None:
        """Rows as they lie in memory."""
        self._join_single()
        self._pending += data
        self._bytes += len(data)
        if self._spool is not None and not self._full and len(self._pending) >= _SPOOL_BYTES:
            try:
                self._blocks.append((self._spool.append(bytes(self._pending)), len(self._pending)))
            except OSError:
                self._full = True  # a full disk costs memory; whoever must write there will say so
            else:
                self._pending.clear()

    @property
    def shape(self) -> tuple[int, ...]:
        self._join_single()
        return self._bytes // self._row_bytes, *self._tail

    def blocks(self) -> Iterator[bytes | memoryview]:
        """All bytes, in order."""
        self._join_single()
        for place, size in self._blocks:
            if self._spool is not None:
                yield self._spool.read(place, size)
        yield bytes(self._pending)

    def array(self) -> Array:
        """All of it in memory; nothing can be appended while that is in use."""
        self._join_single()
        data = b"".join(self.blocks()) if self._blocks else self._pending
        return np.frombuffer(data, self.dtype).reshape(self.shape)

    def __iter__(self) -> Iterator[Any]:
        """Its numbers, row by row."""
        for block in self.blocks():
            yield from np.frombuffer(block, self.dtype).tolist()


class Pieces:
    """Arrays that are there already, joined along their first axis; read like a column."""

    def __init__(self, pieces: Sequence[Array]) -> None:
        self.dtype = pieces[0].dtype
        self.shape: tuple[int, ...] = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
        self._pieces = pieces

    def array(self) -> Array:
        return self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)

    def blocks(self) -> Iterator[bytes | memoryview]:
        for piece in self._pieces:
            if piece.size:
                yield scalars(np.ascontiguousarray(piece)).cast("B")


class Computed:
    """An array that is computed piece by piece, whenever it is read."""

    def __init__(self, dtype: Any, length: int, pieces: Callable[[], Iterator[Array]]) -> None:
        self.dtype, self.shape, self._pieces = np.dtype(dtype), (length,), pieces

    def array(self) -> Array:
        return np.concatenate([np.empty(0, self.dtype), *self._pieces()])

    def blocks(self) -> Iterator[bytes | memoryview]:
        for piece in self._pieces():
            if piece.size:
                yield scalars(np.ascontiguousarray(piece, self.dtype)).cast("B")


AnyColumn = Column | Computed | Sequence[Array]


def column_of(pieces: AnyColumn) -> Column | Computed | Pieces:
    return pieces if isinstance(pieces, Column | Computed) else Pieces(pieces)


class TextColumns:
    """Texts as ``pack_texts`` makes them, in two columns that grow."""

    def __init__(self, spool: Spool | None = None) -> None:
        self.data, self.offsets = Column(np.uint8, 0, spool), Column(np.int64, 0, spool)
        self._end = 0
        self.offsets.add(0)

    def add(self, text: str) -> None:
        encoded = encode(text)
        self.data.append_bytes(encoded)
        self._end += len(encoded)
        self.offsets.add(self._end)

    def append(self, texts: Iterable[str]) -> list[bytes]:
        """Returns them as they are kept."""
        encoded = [encode(text) for text in texts]
        _, *ends = itertools.accumulate(map(len, encoded), initial=self._end)
        self.data.append_bytes(b"".join(encoded))
        self.offsets.append(ends)
        self._end = ends[-1] if ends else self._end
        return encoded

    def __iter__(self) -> Iterator[str]:
        blocks, held, base = self.data.blocks(), b"", 0
        for begin, end in itertools.pairwise(self.offsets):
            while base + len(held) < end:
                held, base = held[begin - base :] + bytes(next(blocks)), begin
            yield held[begin - base : end - base].decode("utf-8", "surrogateescape")
