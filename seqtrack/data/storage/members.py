"""What a tar or zip holds: members by the million, spooled to disk."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seqtrack.data.arrays.columns import Column, Spool, TextColumns

_BATCH = 4096


class Members:
    """What a tar or zip holds below its top folder.

    All of it lies in the spool, if there is one, but for the names of folders. A list of names and one of numbers
    take 340 bytes a member.
    """

    def __init__(self, archive: Path, size: int, spool: Spool | None = None) -> None:
        """``size``: bytes of the archive itself."""
        self.archive, self.size = archive, size
        self.links: dict[str, str] = {}
        """Name of a symbolic or hard link → the name (relative to the top folder) that it means."""
        self.folders = 0
        """How many members are folders."""
        self.compressed = False
        """Whether any member is deflated."""
        self.names = TextColumns(spool)
        self.offsets, self.sizes, self.lengths = (Column(np.int64, 0, spool) for _ in range(3))
        self.hashes, self.owners = Column(np.uint32, 0, spool), Column(np.uint32, 0, spool)
        """CRC-32 of each name, and the number of its folder in ``folder_numbers``."""
        self.folder_numbers = {"": 0}
        self._batch: list[tuple[str, int, int, int]] = []
        self._kept = 0

    def add(self, name: str, offset: int, size: int, length: int = -1) -> None:
        """A regular file. Of those of the same name the last counts.

        Args:
            name: relative to the top folder.
            size: bytes in the archive.
            length: bytes once inflated; -1 for a member that is stored.
        """
        self._batch.append((name, offset, size, length))
        if len(self._batch) == _BATCH:
            self.keep()

    def keep(self) -> None:
        """Moves what has been added last into the columns."""
        if not self._batch:
            return
        names, offsets, sizes, lengths = zip(*self._batch, strict=True)
        encoded = self.names.append(names)
        self.offsets.append(offsets)
        self.sizes.append(sizes)
        self.lengths.append(lengths)
        self.compressed |= max(lengths) >= 0
        self.hashes.append([zlib.crc32(name) for name in encoded])
        known = self.folder_numbers
        folders = [name.rpartition("/")[0] for name in names]
        self.owners.append([known[folder] if folder in known else self._enter(folder) for folder in folders])
        self._kept += len(names)
        self._batch = []

    def _enter(self, folder: str) -> int:
        """The number of a folder, which it and those above it get when they are first met."""
        if folder not in self.folder_numbers:
            self._enter(folder.rpartition("/")[0])
            self.folder_numbers[folder] = len(self.folder_numbers)
        return self.folder_numbers[folder]

    def __len__(self) -> int:
        return self._kept + len(self._batch)

    def __iter__(self) -> Iterator[tuple[str, int, int, int]]:
        """(name, offset, size, length) in the order of the archive."""
        self.keep()
        return zip(self.names, self.offsets, self.sizes, self.lengths, strict=True)

    def file_sizes(self) -> Iterator[int]:
        """Bytes of each extracted file."""
        return (length if length >= 0 else size for _, _, size, length in self)

    def space(self, block: int = 4096) -> int:
        """Bytes that the extracted files take on a file system of this block size."""
        blocks = sum((size + block - 1) // block for size in self.file_sizes())
        return (blocks + self.folders + len(self.links)) * block
