"""Where the members of an archive lie: name → offset and size, in arrays that processes share."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.data.arrays.arrayfile import Texts, open_arrays, pack_texts
from seqtrack.data.arrays.columns import AnyColumn, Array, Column, Computed, Spool, column_of, encode, scalars
from seqtrack.data.storage.members import Members
from seqtrack.errors import DataError

_SCHEMA = 4
_PIECE = 1 << 16
_HALF = np.uint64(32)


class MemberTable:
    """Name → (offset, size) for the members of one archive.

    Names and places lie in the order of the archive; ``rows`` has their numbers in the order of ``hashes``, the
    CRC-32 of their names. ``starts`` gives, for the upper bits of a hash, where its entries begin. So nothing is
    built when a table of millions of names is opened, and a look-up costs about a microsecond.
    """

    def __init__(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        self._names = Texts(arrays["names"], arrays["name_offsets"])
        self._hashes, self._starts = scalars(arrays["hashes"]), scalars(arrays["starts"])
        self._rows = scalars(arrays["rows"])
        self._offsets, self._sizes = scalars(arrays["offsets"]), scalars(arrays["sizes"])
        self._folder_names = Texts(arrays["folders"], arrays["folder_offsets"])
        self._folder_starts, self._folder_rows = scalars(arrays["folder_starts"]), scalars(arrays["folder_rows"])
        self._lengths = scalars(arrays["lengths"]) if "lengths" in arrays else None
        self._shift = 32 - int(meta["bits"])
        self.archive_size = int(meta["archive_size"])
        self.compressed = self._lengths is not None
        """Whether any member is deflated (zip): then ``length`` tells which."""

    def _row(self, name: str) -> int:
        encoded = encode(name)
        wanted = zlib.crc32(encoded)
        bucket = wanted >> self._shift
        first, place = self._starts[bucket], self._starts[bucket + 1]
        while place > first:  # a range would cost as much as the rest of the look-up
            place -= 1
            if self._hashes[place] == wanted and self._names.encoded(row := self._rows[place]) == encoded:
                return row  # from the end: of equal names the last counts
        return -1

    def find(self, name: str) -> tuple[int, int] | None:
        """Where its bytes begin in the archive, and how many they are there."""
        row = self._row(name)
        return None if row < 0 else (self._offsets[row], self._sizes[row])

    def length(self, name: str) -> int:
        """Bytes of a deflated member once it is inflated; -1 for one that lies there as it is."""
        return -1 if self._lengths is None else self._lengths[self._row(name)]

    def names(self) -> list[str]:
        """All of them, sorted."""
        return _distinct(self._names[row] for row in range(len(self._names)))

    def folders_in(self, folder: str) -> list[str]:
        """Names of the folders directly in one of them ('' for the top), sorted."""
        return sorted(self._folders.get(folder, (0, []))[1])

    def files_in(self, folder: str) -> list[str]:
        """Names of the files directly in a folder, sorted."""
        if folder not in self._folders:
            return []
        number, cut = self._folders[folder][0], len(folder) + 1 if folder else 0
        rows = self._folder_rows[self._folder_starts[number] : self._folder_starts[number + 1]]
        return _distinct(self._names[row][cut:] for row in rows)

    @functools.cached_property
    def _folders(self) -> dict[str, tuple[int, list[str]]]:
        """Folder → its number, and the names of those directly in it. Made when it is first asked for."""
        names = [self._folder_names[number] for number in range(len(self._folder_names))]
        found: dict[str, tuple[int, list[str]]] = {name: (number, []) for number, name in enumerate(names)}
        for name in names:
            above, _, own = name.rpartition("/")
            if name:
                found[above][1].append(own)
        return found


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sorted(names)))


def table_columns(members: Members, spool: Spool | None = None) -> tuple[dict[str, AnyColumn], dict[str, Any]]:
    """What ``MemberTable`` is made of. Links become entries of their own that mean the same bytes.

    With a ``spool`` it takes no memory for a member, and must be written while the spool is open.
    """
    for name, place in _links(members).items():
        members.add(name, *place)
    members.keep()
    owners, hashes = _Sorted(members.owners, spool), _Sorted(members.hashes, spool)
    bits = max(1, len(members).bit_length())
    folders, folder_offsets = pack_texts(members.folder_numbers)
    columns: dict[str, AnyColumn] = {
        "names": members.names.data,
        "name_offsets": members.names.offsets,
        "offsets": members.offsets,
        "sizes": members.sizes,
        "hashes": hashes.numbers(),
        "rows": hashes.places(),
        "starts": hashes.starts(1 << bits, 32 - bits),
        "folders": [folders],
        "folder_offsets": [folder_offsets],
        "folder_rows": owners.places(),
        "folder_starts": owners.starts(len(members.folder_numbers), 0),
    }
    if members.compressed:
        columns["lengths"] = members.lengths
    return columns, {"schema": _SCHEMA, "bits": bits, "archive_size": members.size}


def table_arrays(members: Members) -> tuple[dict[str, Array], dict[str, Any]]:
    """The same in memory."""
    columns, meta = table_columns(members)
    return {name: column_of(column).array() for name, column in columns.items()}, meta


def _links(members: Members) -> dict[str, tuple[int, int, int]]:
    """Link → the place of what it means in the end. Left out: those that mean nothing, and those of a file's name."""
    if not members.links:
        return {}
    wanted = {*members.links, *members.links.values()}
    places = {name: place for name, *place in members if name in wanted}
    found = {}
    for name, target in members.links.items():
        steps = len(members.links)  # they may lead in a circle
        while target in members.links and target not in places and steps:
            target, steps = members.links[target], steps - 1
        if target in places and name not in places:
            offset, size, length = places[target]
            found[name] = (offset, size, length)
    return found


class _Sorted:
    """Unsigned 32-bit numbers in order, and where each of them was; equal ones as they come.

    Sorted as one number with the place in its lower half: half of what argsort takes.
    """

    def __init__(self, column: Column, spool: Spool | None) -> None:
        count = column.shape[0]
        self._keys: Array = np.empty(count, np.uint64) if spool is None else spool.scratch(count, np.uint64)
        at = 0
        for block in column.blocks():
            numbers = np.frombuffer(block, np.uint32)
            part = self._keys[at : at + len(numbers)]
            part[:] = numbers
            part <<= _HALF
            part |= np.arange(at, at + len(numbers), dtype=np.uint64)
            at += len(numbers)
        self._keys.sort()

    def numbers(self) -> Computed:
        return self._halves(lambda keys: keys >> _HALF)

    def places(self) -> Computed:
        return self._halves(lambda keys: keys)

    def _halves(self, to_lower: Callable[[Array], Array]) -> Computed:
        count = len(self._keys)

        def pieces() -> Iterator[Array]:
            for first in range(0, count, _PIECE):
                yield to_lower(self._keys[first : first + _PIECE]).astype(np.uint32)

        return Computed(np.uint32, count, pieces)

    def starts(self, count: int, shift: int) -> Computed:
        """(count + 1,) where the numbers from 0, 1, … << shift begin, and where they end."""

        def pieces() -> Iterator[Array]:
            for first in range(0, count, _PIECE):
                edges = np.arange(first, min(first + _PIECE, count), dtype=np.uint64) << np.uint64(32 + shift)
                yield np.searchsorted(self._keys, edges).astype(np.uint32)
            yield np.array([len(self._keys)], np.uint32)

        return Computed(np.uint32, count + 1, pieces)


def table_path(cache_dir: Path, label: str, digest: str) -> Path:
    return cache_dir / f"{label}.members-{digest[:16]}.h5"


def known_table(path: Path, archive_size: int) -> MemberTable | None:
    """The table at ``path`` if it is one of an archive of this size."""
    try:
        arrays, meta = open_arrays(path)
        if meta.get("schema") != _SCHEMA or meta.get("archive_size") != archive_size:
            return None
        return MemberTable(arrays, meta)
    except (FileNotFoundError, DataError, KeyError, json.JSONDecodeError):
        return None
